package api

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
	"reflect"
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

// writes says whether an operation changes configuration: it then takes an
// idempotency key, a reason and dry_run, and is in the audit.
func (op *operation) writes() bool {
	return op.effect == configures || op.effect == adds
}

// conditional says whether a write is to one existing object, so that If-Match
// applies to it.
func (op *operation) conditional() bool {
	return op.effect == configures && (op.method != http.MethodPost || strings.Contains(op.path, "{id}"))
}

// sealed says whether an answer that is kept shows a secret which the request has set.
func (op *operation) sealed() bool {
	return op.method != http.MethodDelete && op.answer.holdsSecret()
}

func dryRunParam() parameter {
	return parameter{name: "dry_run", schema: &schema{kind: "boolean", defaultTo: false},
		description: "Check everything, and answer as it would be, but change nothing."}
}

// write runs the handler of an operation that writes, under the terms of the
// request's headers.
func (s *engine) write(ctx context.Context, op *operation, in *request, r *http.Request) (*response, error) {
	origin, err := originOf(op, in, r)
	if err != nil {
		return nil, err
	}
	ctx = collection.WithOrigin(ctx, origin)
	once := origin.Idempotency
	if once == nil {
		return op.handle(ctx, in)
	}
	if !s.flights.begin(once.Account, once.Key) {
		f := fail(http.StatusConflict, codeProcessing, "A request with this %s is still being processed. Repeat it a little later.", idempotencyHeader)
		f.header = http.Header{"Retry-After": {retryAfterSecs}}
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
	answer, err := op.handle(ctx, in)
	if happened := (*collection.ReplayError)(nil); errors.As(err, &happened) {
		// A request that was given up by its client was still on its way.
		return in.replay(happened.Answer)
	}
	return answer, err
}

// originOf reads who asks, and on which terms.
func originOf(op *operation, in *request, r *http.Request) (*collection.Origin, error) {
	reason := r.Header.Get(reasonHeader)
	if !utf8.ValidString(reason) || utf8.RuneCountInString(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl) {
		return nil, fail(http.StatusBadRequest, field.Malformed, "%s is not a text of at most %d characters in UTF-8.", reasonHeader, maxReason)
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	o := &collection.Origin{
		KeyID: in.caller.key, KeyAccount: in.account, KeyName: in.caller.keyName,
		Admin: in.caller.admin, Address: address, RequestID: exchangeOf(r).requestID, Reason: reason,
		DryRun: in.query.text("dry_run", "") == "true",
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
	if len(given) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return nil, fail(http.StatusBadRequest, field.Malformed, "%s is not 1 to %d visible ASCII characters, given once.", idempotencyHeader, maxIdempotencyKey)
	}
	if !o.DryRun { // which changes nothing that could be done twice
		o.Idempotency = &collection.Idempotency{Account: in.account, Key: key, Request: in.hash(r)}
	}
	return o, nil
}

// hash tells requests apart: by method, path, query and body.
func (in *request) hash(r *http.Request) (sum [32]byte) {
	// A reader of the database must not find a password by trying.
	h := hmac.New(sha256.New, in.engine.RequestKey)
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery), in.raw} {
		// With its length before it, no part runs into the next one.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// committed runs a write of one object, and makes the answer to it. What is kept
// for an idempotency key is that very answer, rendered within the write's
// transaction.
func committed[T any](ctx context.Context, in *request, render func(context.Context, T) (*response, error), act func(context.Context) (T, error)) (*response, error) {
	var kept *collection.Answer
	origin := collection.OriginOf(ctx)
	if once := origin.Idempotency; once != nil {
		once.Render = func(object any) (collection.Answer, error) {
			answer, err := render(ctx, object.(T))
			if err != nil {
				return collection.Answer{}, err
			}
			encoded, err := in.op.encode(answer)
			if err != nil {
				return collection.Answer{}, err
			}
			kept = &encoded
			return in.seal(encoded)
		}
	}
	object, err := act(ctx)
	if other := (*collection.VersionError)(nil); errors.As(err, &other) {
		return nil, in.changed(ctx, func(ctx context.Context) (*response, error) { return render(ctx, other.Current.(T)) })
	}
	if err != nil {
		return nil, err
	}
	if kept != nil {
		return &response{encoded: kept}, nil
	}
	answer, err := render(ctx, object)
	if err == nil {
		answer.dryRun = origin.DryRun
	}
	return answer, err
}

// changed is the answer to an If-Match that does not hold. It has the object's tag,
// so that the client can tell which state it has not seen.
func (in *request) changed(ctx context.Context, render func(context.Context) (*response, error)) error {
	f := fail(http.StatusPreconditionFailed, codeUnprocessable, "The object has changed since the state that If-Match names. Get it again, and repeat the change on what it is now.")
	answer, err := render(ctx)
	if err != nil {
		return err
	}
	encoded, err := in.op.encode(answer)
	if err != nil {
		return err
	}
	f.header = http.Header{"Etag": {encoded.ETag}}
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
func (in *request) seal(a collection.Answer) (collection.Answer, error) {
	if !in.op.sealed() {
		return a, nil
	}
	sealer, err := in.sealer()
	if err != nil {
		return collection.Answer{}, err
	}
	nonce := make([]byte, sealer.NonceSize())
	if _, err := io.ReadFull(in.engine.Random, nonce); err != nil {
		return collection.Answer{}, err
	}
	// The tag is made of the body too.
	a.Body, a.ETag = sealer.Seal(nonce, nonce, []byte(a.ETag+"\n"+string(a.Body)), nil), ""
	return a, nil
}

func (in *request) sealer() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(in.caller.secret), nil, "tollgate kept answer", 32)
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
func (in *request) replay(a collection.Answer) (*response, error) {
	if in.op.sealed() {
		sealer, err := in.sealer()
		if err != nil {
			return nil, err
		}
		if len(a.Body) < sealer.NonceSize() {
			return nil, errors.New("a kept answer is cut short")
		}
		body, err := sealer.Open(nil, a.Body[:sealer.NonceSize()], a.Body[sealer.NonceSize():], nil)
		if err != nil {
			return nil, fail(http.StatusUnprocessableEntity, codeUnprocessable,
				"The %s was used by another API key, and the answer holds a secret that is shown to that one only.", idempotencyHeader)
		}
		tag, rest, _ := bytes.Cut(body, []byte("\n"))
		a.ETag, a.Body = string(tag), rest
	}
	return &response{encoded: &a, replayed: true}, nil
}

// versionOf is the version of an object of the store. Every type that is written
// has a field for it.
func versionOf[T any](object *T) int64 {
	return reflect.ValueOf(object).Elem().FieldByName("Version").Int()
}
