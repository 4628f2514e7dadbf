package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/rest"
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

func (s *server) traceOperation() rest.Operation {
	return rest.Operation{Method: http.MethodGet, Path: "/tollgate/v1/calls/{id}/trace", ID: "trace_call", Tag: "Calls",
		Scope: ScopeRead, Noun: "SipMessage", Status: http.StatusOK, Answer: schemaOf[messageView](), Shape: rest.List,
		Handle: s.traceCall,
		Summary: "Show the SIP messages of a call, up or ended, from the oldest. " +
			"The server keeps the latest messages of all calls in a bounded memory: " +
			"those of an older call, of one before the server's start, or of one that another node carried are not there.",
		Params: rest.PageParams(rest.MaxPageSize, rest.MaxPageSize)}
}

func (s *server) traceCall(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	call, err := uuid.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	// Whose call it is, is in its lease or in its record.
	if _, err := s.Calls.Decision(ctx, in.Account, call); err != nil {
		return nil, err
	}
	views := []messageView{}
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	if s.Trace == nil {
		return &rest.Response{Data: views, Meta: rest.MetaOf(q, 0)}, nil
	}
	messages := s.Trace(call)
	first, end := pageBounds(q, len(messages))
	for i := range messages[first:end] {
		m := &messages[first+i]
		direction := "received"
		if m.Sent {
			direction = "sent"
		}
		views = append(views, messageView{RecordType: "sip_message",
			At: m.At.UTC(), Direction: direction, Transport: m.Transport,
			Source: m.Source.String(), Destination: m.Destination.String(), Text: strings.ToValidUTF8(string(m.Text), "\uFFFD")})
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, len(messages))}, nil
}

// pageBounds are the bounds of a page in a list of so many.
func pageBounds(q collection.Query, total int) (first, end int) {
	first = min((q.Number-1)*q.Size, total)
	return first, min(first+q.Size, total)
}
