package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// Downloads makes and checks the addresses under which recordings and reports are
// downloaded.
// Anyone who has an address may download until it expires; only the server can make one.
type Downloads struct {
	// Key signs the addresses. Nodes that share a database must have the same one.
	Key []byte
	// PublicURL is where clients reach this server, as in https://tollgate.example.com;
	// "" uses the host of the request. Addresses of error pages begin with it too.
	PublicURL string
	// Open opens the file of a recording, decrypted. Its error wraps fs.ErrNotExist
	// when this server cannot reach the file.
	Open func(ctx context.Context, r *record.Recording) (io.ReadSeekCloser, error)
}

const (
	downloadsPath = "/tollgate/v1/downloads/"
	// downloadAge is how long an address is good; Telnyx's are too.
	downloadAge = 10 * time.Minute
	// downloadLimit is how long one download may take.
	downloadLimit = time.Hour
)

// Address is a signed address of a recording's file, or "" when there are no files.
func (d *Downloads) Address(base string, r *record.Recording, now time.Time) string {
	return d.address(base, r.AccountID, r.ID.String()+"."+r.Format, now)
}

// address is a signed address of a file by its name.
func (d *Downloads) address(base string, account id.ID, name string, now time.Time) string {
	if d == nil {
		return ""
	}
	expires := now.Add(downloadAge).Unix()
	return strings.TrimSuffix(base, "/") + downloadsPath + name + "?" + url.Values{
		"account": {account.String()}, "expires": {strconv.FormatInt(expires, 10)},
		"signature": {base64.RawURLEncoding.EncodeToString(d.sign(account, name, expires))},
	}.Encode()
}

func (d *Downloads) sign(account id.ID, name string, expires int64) []byte {
	h := hmac.New(sha256.New, d.Key)
	_, _ = fmt.Fprintf(h, "%d\n%s\n%d", account, name, expires)
	return h.Sum(nil)
}

// named is the account and the id of what an address is of, if it is good.
func (d *Downloads) named(name string, query url.Values, now time.Time) (account id.ID, object uuid.UUID, err error) {
	again := "Get the recording from /v2/recordings for a new one."
	if strings.HasSuffix(name, reportSuffix) {
		again = "Get the report from /v2/ledger_billing_group_reports for a new one."
	}
	refused := rest.Fail(http.StatusForbidden, rest.CodeForbidden,
		"The address is not one that this server has signed. %s", again)
	account, failed := id.Parse(query.Get("account"))
	expires, other := strconv.ParseInt(query.Get("expires"), 10, 64)
	signature, third := base64.RawURLEncoding.DecodeString(query.Get("signature"))
	if errors.Join(failed, other, third) != nil || !hmac.Equal(signature, d.sign(account, name, expires)) {
		return 0, uuid.Nil, refused
	}
	if now.Unix() >= expires {
		return 0, uuid.Nil, rest.Fail(http.StatusForbidden, rest.CodeForbidden, "The address has expired. %s", again)
	}
	text, _, _ := strings.Cut(name, ".")
	if object, err = uuid.Parse(text); err != nil {
		return 0, uuid.Nil, collection.ErrNotFound
	}
	return account, object, nil
}

// download sends the file of a recording, or the part that a Range header asks for. It is
// in no table of operations, since clients take signed addresses as they are given.
func (s *server) download(w http.ResponseWriter, r *http.Request) error {
	if err := rest.OnlyGet(r); err != nil {
		return err
	}
	if s.Downloads == nil {
		return collection.ErrNotFound
	}
	name := r.PathValue("name")
	account, object, err := s.Downloads.named(name, r.URL.Query(), s.Clock())
	if err != nil {
		s.loginFailed(r, loginSignature, nil)
		return err
	}
	rest.SetAccount(r, account)
	s.known(r, account)
	if strings.HasSuffix(name, reportSuffix) {
		return s.downloadReport(w, r, account, object)
	}
	kept, err := s.Recordings.Recording(r.Context(), account, object)
	if err != nil {
		return err
	}
	file, err := s.Downloads.Open(r.Context(), &kept)
	if errors.Is(err, fs.ErrNotExist) {
		f := rest.Fail(http.StatusServiceUnavailable, rest.CodeUnavailable,
			"The file of the recording is not within reach of this server.")
		f.Underlying = err
		return f
	}
	if err != nil {
		return err
	}
	defer file.Close()
	// A server without such deadlines, as in a test, is as good.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadLimit))
	header := w.Header()
	header.Set("Content-Type", map[string]string{record.FormatMP3: "audio/mpeg",
		record.FormatWAV: "audio/wav"}[kept.Format])
	header.Set("Content-Disposition", `attachment; filename="`+kept.ID.String()+"."+kept.Format+`"`)
	header.Set("Etag", `"`+hex.EncodeToString(kept.SHA256[:])+`"`)
	http.ServeContent(w, r, name, time.UnixMicro(kept.EndedMicros), file)
	return nil
}
