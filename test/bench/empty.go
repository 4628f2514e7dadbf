package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// emptyAnswer is as long as the answer to a call that is admitted.
const emptyAnswer = `{"data":{"id":"0194f8f2-7a5e-7c2b-9d1e-2b6d1c7c0a11","decision":"allow","grant_secs":30,"expires_at":"2026-01-01T00:00:30Z",` +
	`"rate":{"prefix":"1212555","per_minute":"0.0085"},"routes":[{"gateway":"carrier","address":"192.0.2.50:5060","to":"+12125550123"}],` +
	`"recording":{"record":false},"decision_id":"0194f8f2-7a5e-7c2b-9d1e-2b6d1c7c0a12"}}`

// serveEmpty is what everything is measured beside: a server that reads the same
// request with the same HTTP and JSON libraries, and does nothing.
func serveEmpty() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("API on http://%s\n", listener.Addr())
	server := http.Server{ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var asked struct {
				ConnectionID string `json:"connection_id"`
				CallID       string `json:"call_id"`
				From         string `json:"from"`
				To           string `json:"to"`
			}
			if err := json.UnmarshalRead(r.Body, &asked); err != nil || asked.CallID == "" {
				http.Error(w, "no admission was asked for", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, emptyAnswer)
		})}
	return server.Serve(listener)
}
