package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/store"
)

// messageView is one SIP message of a call.
type messageView struct {
	RecordType  string    `json:"record_type" enum:"sip_message"`
	At          time.Time `json:"at"`
	Direction   string    `json:"direction" enum:"received,sent" doc:"As seen by this server."`
	Transport   string    `json:"transport"`
	Source      string    `json:"source" doc:"host:port"`
	Destination string    `json:"destination" doc:"host:port"`
	Text        string    `json:"text" doc:"The message as it was on the wire, but for what proves identity (digest responses, tokens) and keys of media."`
}

func (s *server) traceOperation() operation {
	return operation{method: http.MethodGet, path: "/tollgate/v1/calls/{id}/trace", id: "trace_call", tag: "Calls", scope: ScopeRead,
		noun: "SipMessage", status: http.StatusOK, answer: schemaOf[messageView](), shape: list, handle: s.traceCall,
		summary: "Show the SIP messages of a call, up or ended, from the oldest. The server keeps the latest messages of all calls in a bounded memory: " +
			"those of an older call, of one before the server's start, or of one that another node carried are not there.",
		params: pageParams(maxPageSize, maxPageSize)}
}

func (s *server) traceCall(ctx context.Context, in *request) (*response, error) {
	call, err := uuid.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	// Whose call it is, is in its lease or in its record.
	if _, err := s.Calls.Decision(ctx, in.account, call); err != nil {
		return nil, err
	}
	views := []messageView{}
	q := in.query.storeQuery("", maxPageSize)
	if s.Trace == nil {
		return &response{data: views, meta: metaOf(q, 0)}, nil
	}
	messages := s.Trace(call)
	first, end := pageBounds(q, len(messages))
	for i := range messages[first:end] {
		m := &messages[first+i]
		direction := "received"
		if m.Sent {
			direction = "sent"
		}
		views = append(views, messageView{RecordType: "sip_message", At: m.At.UTC(), Direction: direction, Transport: m.Transport,
			Source: m.Source.String(), Destination: m.Destination.String(), Text: strings.ToValidUTF8(string(m.Text), "\uFFFD")})
	}
	return &response{data: views, meta: metaOf(q, len(messages))}, nil
}

// pageBounds are the bounds of a page in a list of so many.
func pageBounds(q store.Query, total int) (first, end int) {
	first = min((q.Number-1)*q.Size, total)
	return first, min(first+q.Size, total)
}
