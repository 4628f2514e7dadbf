package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
)

// An entity tag is the object's version and a hash of the body, as in "7-9a1b...".
// The hash is there because a body also shows what is not of the object itself,
// such as how many others refer to it. If-None-Match compares all of it, and
// If-Match the version alone: that a connection was added is no change of the
// profile. What has no version has the hash alone.

// tagHashBytes is how much of the hash is in a tag. A client compares a tag with
// that of one object in its own account, so a collision is of no use.
const tagHashBytes = 8

func entityTag(version int64, body []byte) string {
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:tagHashBytes])
	if version > 0 {
		tag = strconv.FormatInt(version, 10) + "-" + tag
	}
	return `"` + tag + `"`
}

// gzipSuffix is at the end of the tag of a compressed body: a strong tag names bytes.
const gzipSuffix = "-gzip"

// compressedTag is the tag of a compressed body.
func compressedTag(tag string) string { return strings.TrimSuffix(tag, `"`) + gzipSuffix + `"` }

// maxTags bounds how many tags a header may list.
const maxTags = 50

// parseTags reads the tags of If-Match or If-None-Match (RFC 9110 section 13.1).
// any is true for "*".
func parseTags(values []string) (tags []string, anything bool, ok bool) {
	rest := strings.Trim(strings.Join(values, ","), " \t")
	if rest == "*" {
		return nil, true, true
	}
	for rest != "" {
		if rest[0] == ',' || rest[0] == ' ' || rest[0] == '\t' {
			rest = rest[1:]
			continue
		}
		opaque, weak := strings.CutPrefix(rest, "W/")
		if !strings.HasPrefix(opaque, `"`) {
			return nil, false, false
		}
		end := strings.IndexByte(opaque[1:], '"')
		if end < 0 || len(tags) == maxTags {
			return nil, false, false
		}
		tag := opaque[:end+2]
		rest = strings.TrimLeft(opaque[end+2:], " \t")
		if rest != "" && rest[0] != ',' {
			return nil, false, false
		}
		if weak {
			tag = "W/" + tag
		}
		tags = append(tags, tag)
	}
	return tags, false, len(tags) > 0
}

// matchVersions are the versions that If-Match names: nil for every one. A tag that
// is weak, or none of ours, names no version at all.
func matchVersions(values []string) ([]int64, error) {
	if len(values) == 0 {
		return nil, nil
	}
	tags, anything, ok := parseTags(values)
	if !ok {
		return nil, Fail(http.StatusBadRequest, field.Malformed,
			`If-Match is not a list of entity tags such as "7-9a1b2c3d4e5f6071", as the ETag header of the object has it.`)
	}
	if anything {
		return nil, nil
	}
	versions := make([]int64, 0, len(tags))
	for _, tag := range tags {
		number, _, _ := strings.Cut(strings.Trim(tag, `"`), "-")
		if version, err := strconv.ParseInt(number, 10, 64); err == nil && version > 0 {
			versions = append(versions, version)
		}
	}
	return versions, nil
}

// unchanged reports whether If-None-Match names the tag. Compressed or not is the same
// to it, since the client has the content either way.
func unchanged(values []string, tag string) bool {
	tags, anything, ok := parseTags(values)
	if !ok {
		return false // as without the header: the client gets the object
	}
	for _, given := range tags {
		given = strings.TrimPrefix(given, "W/")
		if given == tag || given == compressedTag(tag) {
			return true
		}
	}
	return anything
}
