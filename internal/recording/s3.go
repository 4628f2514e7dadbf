package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Limits of requests to the bucket.
const (
	s3Retries = 3
	// s3Answer is how long the server may take to begin an answer.
	s3Answer = 30 * time.Second
	// uploadLimit is how long one upload may take.
	uploadLimit = time.Hour
)

// S3 says where finished recordings are kept besides the disk on which they are made.
type S3 struct {
	// URL is the bucket, as in https://s3.example.com/bucket or
	// https://s3.example.com/bucket/folder. It is http:// only on loopback.
	URL string
	// Region is that of the bucket; "" asks the server.
	Region string
	// AccessKey and SecretKey open the bucket.
	AccessKey, SecretKey string
}

// Validate reports what is wrong with the settings.
func (s *S3) Validate() error {
	_, _, _, err := s.parse()
	if err == nil && (s.AccessKey == "" || s.SecretKey == "") {
		err = errors.New("the access keys of the bucket are missing")
	}
	return err
}

func (s *S3) parse() (endpoint *url.URL, bucket, prefix string, err error) {
	endpoint, err = url.Parse(s.URL)
	if err != nil || endpoint.Host == "" || endpoint.User != nil || endpoint.RawQuery != "" ||
		endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		return nil, "", "", fmt.Errorf("%q is not the address of a bucket, such as https://s3.example.com/bucket", s.URL)
	}
	if address, failed := netip.ParseAddr(endpoint.Hostname()); endpoint.Scheme == "http" &&
		(failed != nil || !address.IsLoopback()) {
		return nil, "", "", fmt.Errorf("%q would send recordings unencrypted: use https", s.URL)
	}
	bucket, prefix, _ = strings.Cut(strings.Trim(endpoint.Path, "/"), "/")
	if bucket == "" {
		return nil, "", "", fmt.Errorf("%q names no bucket: add it, as in https://s3.example.com/bucket", s.URL)
	}
	if prefix != "" {
		prefix += "/"
	}
	return endpoint, bucket, prefix, nil
}

// bucket is a storage in S3.
type bucket struct {
	client    *minio.Client
	transport *http.Transport
	name      string
	prefix    string
	volume    string
}

// openBucket makes the client of a bucket. It sends nothing yet: a bucket that
// cannot be reached now may be there when a call has ended.
func openBucket(s *S3) (*bucket, error) {
	endpoint, name, prefix, err := s.parse()
	if err != nil {
		return nil, fmt.Errorf("recordings in S3: %w", err)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: s3Answer, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 8,
		DisableCompression:  true,
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: endpoint.Scheme == "https", Region: s.Region,
		Transport: transport, MaxRetries: s3Retries,
	})
	if err != nil {
		return nil, fmt.Errorf("recordings in S3: %w", err)
	}
	return &bucket{client: client, transport: transport, name: name, prefix: prefix, volume: endpoint.Host + "/" + name},
		nil
}

// put stores a file, and returns when the server has all of it.
func (b *bucket) put(ctx context.Context, name string, from io.Reader, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, uploadLimit)
	defer cancel()
	_, err := b.client.PutObject(ctx, b.name, name, from, size,
		minio.PutObjectOptions{ContentType: "application/octet-stream", SendContentMd5: true})
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	info, err := b.client.StatObject(ctx, b.name, name, minio.StatObjectOptions{})
	if err == nil && info.Size != size {
		err = fmt.Errorf("the bucket has %d bytes of %d", info.Size, size)
	}
	if err != nil {
		return fmt.Errorf("confirm %s: %w", name, err)
	}
	return nil
}

func (b *bucket) open(ctx context.Context, name string) (io.ReadSeekCloser, int64, error) {
	object, err := b.client.GetObject(ctx, b.name, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, 0, fmt.Errorf("fetch %s: %w", name, err)
	}
	info, err := object.Stat()
	if err != nil {
		if missing(err) {
			err = fs.ErrNotExist
		}
		return nil, 0, errors.Join(fmt.Errorf("fetch %s: %w", name, err), object.Close())
	}
	return object, info.Size, nil
}

func (b *bucket) remove(ctx context.Context, name string) error {
	err := b.client.RemoveObject(ctx, b.name, name, minio.RemoveObjectOptions{})
	if err != nil && !missing(err) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func missing(err error) bool {
	answer := minio.ToErrorResponse(err)
	return answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket
}
