package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// CallOption changes one request.
type CallOption func(*call)

// IdempotencyKey has the server carry a write out once, however often it is sent with the
// same key. The client then repeats it like a read.
func IdempotencyKey(key string) CallOption {
	return func(r *call) {
		r.set("Idempotency-Key", key)
		r.safe = r.csv == nil
	}
}

// IfMatch has the server change an object only if it is still in the state whose tag
// ETag has noted. Else the error is ErrChanged.
func IfMatch(etag string) CallOption { return func(r *call) { r.set("If-Match", etag) } }

// ETag notes the tag of the answer, which names the state of the object.
func ETag(into *string) CallOption { return func(r *call) { r.etag = into } }

// Reason explains why a change is made. It is kept in the audit.
func Reason(text string) CallOption { return func(r *call) { r.set("X-Tollgate-Reason", text) } }

// DryRun has the server check a write and answer as it would, but change nothing. It
// fills effects, such as a *DryRunProfile, where the server says what the change would do to
// calls. It may be nil.
func DryRun(effects any) CallOption {
	return func(r *call) {
		r.values.Set("dry_run", "true")
		r.effects, r.safe = effects, r.csv == nil
	}
}

func (r *call) set(name, value string) {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
}

// Download writes the file at an address that an answer names, such as one of a
// Recording's DownloadURLs. The address itself grants access, so the key is
// not sent.
func (c *Client) Download(ctx context.Context, address string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", c.agent)
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		text, readErr := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		return errors.Join(failure(answer, text), readErr, answer.Body.Close())
	}
	_, err = io.Copy(into, answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}
