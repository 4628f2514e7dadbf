package rest

import (
	"strings"
	"testing"
)

// FuzzTags holds that reading tags is exact: what is written from the tags that
// were read is read as the same again, and a header that names a tag of ours, in
// whatever company, matches that tag.
func FuzzTags(f *testing.F) {
	for _, seed := range []string{`"7-ab"`, `W/"7-ab", "8"`, "*", `"a,b"`, `"7`, `""`, `, ,"x"`, `"x""y"`, "7", "W/x"} {
		f.Add(seed)
	}
	ours := entityTag(7, []byte("body"))
	f.Fuzz(func(t *testing.T, header string) {
		tags, anything, ok := parseTags([]string{header})
		if !ok || anything {
			return
		}
		again, _, ok := parseTags([]string{strings.Join(tags, ", ")})
		if !ok || strings.Join(again, "|") != strings.Join(tags, "|") {
			t.Fatalf("%q is read as %q, and that as %q", header, tags, again)
		}
		if len(tags) == maxTags {
			return
		}
		if !unchanged([]string{header, ours}, ours) {
			t.Errorf("%q with %s does not name it", header, ours)
		}
		versions, err := matchVersions([]string{ours, header})
		if err != nil || versions[0] != 7 {
			t.Errorf("%s with %q: %v, %v", ours, header, versions, err)
		}
	})
}
