package rest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Headers of writes.
const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotent-Replayed"
	reasonHeader      = "X-Tollgate-Reason"
	dryRunHeader      = "Tollgate-Dry-Run"
)

// Limits of what a client may have kept.
const (
	maxIdempotencyKey = 255
	maxReason         = 500 // characters: a sentence or two and a ticket's number
)

// Writes reports whether an operation changes configuration: it then takes an
// idempotency key, a reason and dry_run, and is in the audit.
func (op *Operation) Writes() bool {
	return op.Effect == Configures || op.Effect == Adds
}

// conditional reports whether a write is to one existing object, so that If-Match
// applies to it.
func (op *Operation) conditional() bool {
	return op.Effect == Configures && (op.Method != http.MethodPost || strings.Contains(op.Path, "{id}"))
}

// sealed reports whether an answer that is kept shows a secret which the request has set.
func (op *Operation) sealed() bool {
	return op.Method != http.MethodDelete && op.Answer.holdsSecret()
}

func dryRunParam() Parameter {
	return Parameter{Name: "dry_run", Schema: &Schema{Kind: "boolean", DefaultTo: false},
		Description: "Check everything, and answer as it would be, but change nothing."}
}

// write runs the handler of an operation that writes, under the terms of the
// request's headers.
func (s *Server) write(ctx context.Context, op *Operation, in *Request, r *http.Request) (*Response, error) {
	origin, err := originOf(op, in, r)
	if err != nil {
		return nil, err
	}
	ctx = collection.WithOrigin(ctx, origin)
	once := origin.Idempotency
	if once == nil {
		return op.Handle(ctx, in)
	}
	if !s.flights.begin(once.Account, once.Key) {
		f := Fail(http.StatusConflict, CodeProcessing, "A request with this %s "+
			"is still being processed. Repeat it a little later.", idempotencyHeader)
		f.Header = http.Header{"Retry-After": {RetryAfterSecs}}
		return nil, f
	}
	defer s.flights.end(once.Account, once.Key)
	kept, err := s.Kept.Answered(ctx, once)
	switch {
	case err == nil:
		return in.replay(kept)
	case !errors.Is(err, collection.ErrNotFound):
		return nil, err
	}
	answer, err := op.Handle(ctx, in)
	if happened := (*collection.ReplayError)(nil); errors.As(err, &happened) {
		// A request that was given up by its client was still on its way.
		return in.replay(happened.Answer)
	}
	return answer, err
}

// originOf reads who asks, and on which terms.
func originOf(op *Operation, in *Request, r *http.Request) (*collection.Origin, error) {
	reason := r.Header.Get(reasonHeader)
	if !utf8.ValidString(reason) || utf8.RuneCountInString(reason) > maxReason ||
		strings.ContainsFunc(reason, unicode.IsControl) {
		return nil, Fail(http.StatusBadRequest, field.Malformed,
			"%s is not a text of at most %d characters in UTF-8.", reasonHeader, maxReason)
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	o := &collection.Origin{
		KeyID: in.Caller.Key, KeyAccount: in.Account, KeyName: in.Caller.KeyName,
		Admin: in.Caller.Admin, Address: address, RequestID: exchangeOf(r).requestID, Reason: reason,
		DryRun: in.Query.Text("dry_run", "") == "true",
	}
	if op.conditional() {
		if o.Versions, err = matchVersions(r.Header.Values("If-Match")); err != nil {
			return nil, err
		}
	}
	given := r.Header.Values(idempotencyHeader)
	if len(given) == 0 {
		return o, nil
	}
	key := given[0]
	if len(given) > 1 || key == "" || len(key) > maxIdempotencyKey ||
		strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return nil, Fail(http.StatusBadRequest, field.Malformed, "%s is not 1 to %d visible ASCII characters, given once.",
			idempotencyHeader, maxIdempotencyKey)
	}
	if !o.DryRun { // which changes nothing that could be done twice
		o.Idempotency = &collection.Idempotency{Account: in.Account, Key: key, Request: in.Hash(r)}
	}
	return o, nil
}

// Hash tells requests apart: by method, path, query and body.
func (in *Request) Hash(r *http.Request) (sum [32]byte) {
	// A reader of the database must not find a password by trying.
	h := hmac.New(sha256.New, in.Engine.RequestKey)
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery), in.Raw} {
		// With its length before it, no part runs into the next one.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// Committed runs a write of one object, and makes the answer to it. What is kept
// for an idempotency key is that very answer, rendered within the write's
// transaction.
func Committed[T any](ctx context.Context, in *Request, render func(context.Context, T) (*Response, error),
	act func(context.Context) (T, error)) (*Response, error) {
	var kept *collection.Answer
	origin := collection.OriginOf(ctx)
	if once := origin.Idempotency; once != nil {
		once.Render = func(object any) (collection.Answer, error) {
			answer, err := render(ctx, object.(T))
			if err != nil {
				return collection.Answer{}, err
			}
			encoded, err := in.Op.encode(answer)
			if err != nil {
				return collection.Answer{}, err
			}
			kept = &encoded
			return in.seal(encoded)
		}
	}
	object, err := act(ctx)
	if other := (*collection.VersionError)(nil); errors.As(err, &other) {
		return nil, in.Changed(ctx, func(ctx context.Context) (*Response, error) { return render(ctx, other.Current.(T)) })
	}
	if err != nil {
		return nil, err
	}
	if kept != nil {
		return &Response{encoded: kept}, nil
	}
	answer, err := render(ctx, object)
	if err == nil {
		answer.dryRun = origin.DryRun
	}
	return answer, err
}

// Changed is the answer to an If-Match that does not hold. It has the object's tag,
// so that the client can tell which state it has not seen.
func (in *Request) Changed(ctx context.Context, render func(context.Context) (*Response, error)) error {
	f := Fail(http.StatusPreconditionFailed, CodeUnprocessable, "The object has changed since "+
		"the state that If-Match names. Get it again, and repeat the change on what it is now.")
	answer, err := render(ctx)
	if err != nil {
		return err
	}
	encoded, err := in.Op.encode(answer)
	if err != nil {
		return err
	}
	f.Header = http.Header{"Etag": {encoded.ETag}}
	return f
}

// flights are the requests with idempotency keys that are being processed here.
type flights struct {
	mu     sync.Mutex // guards flying
	flying map[flight]bool
}

type flight struct {
	account id.ID
	key     string
}

func (f *flights) begin(account id.ID, key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := flight{account, key}
	if f.flying[one] {
		return false
	}
	if f.flying == nil {
		f.flying = make(map[flight]bool)
	}
	f.flying[one] = true
	return true
}

func (f *flights) end(account id.ID, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.flying, flight{account, key})
}

// seal encrypts an answer that shows a new secret, with a key that is made from the
// secret of the API key that asked: the database alone does not give it away.
func (in *Request) seal(a collection.Answer) (collection.Answer, error) {
	if !in.Op.sealed() {
		return a, nil
	}
	sealer, err := in.sealer()
	if err != nil {
		return collection.Answer{}, err
	}
	nonce := make([]byte, sealer.NonceSize())
	if _, err := io.ReadFull(in.Engine.Random, nonce); err != nil {
		return collection.Answer{}, err
	}
	// The tag is made of the body too.
	a.Body, a.ETag = sealer.Seal(nonce, nonce, []byte(a.ETag+"\n"+string(a.Body)), nil), ""
	return a, nil
}

func (in *Request) sealer() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(in.Caller.Secret), nil, "tollgate kept answer", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// replay answers as the request was answered before.
func (in *Request) replay(a collection.Answer) (*Response, error) {
	if in.Op.sealed() {
		sealer, err := in.sealer()
		if err != nil {
			return nil, err
		}
		if len(a.Body) < sealer.NonceSize() {
			return nil, errors.New("a kept answer is cut short")
		}
		body, err := sealer.Open(nil, a.Body[:sealer.NonceSize()], a.Body[sealer.NonceSize():], nil)
		if err != nil {
			return nil, Fail(http.StatusUnprocessableEntity, CodeUnprocessable,
				"The %s was used by another API key, and the answer holds a secret that is shown to that one only.",
				idempotencyHeader)
		}
		tag, rest, _ := bytes.Cut(body, []byte("\n"))
		a.ETag = string(tag)
		a.Body = rest
	}
	return &Response{encoded: &a, replayed: true}, nil
}
