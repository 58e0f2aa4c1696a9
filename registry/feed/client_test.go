package feed_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestParseService: a URL is quoted where it is wrong, a password never.
func TestParseService(t *testing.T) {
	for _, good := range []string{"https://registry.example", "http://127.0.0.1:8080", "https://[::1]:8443/icp/"} {
		if u, err := feed.ParseService(good); err != nil || u.String() != good {
			t.Errorf("%q: got %v, %v", good, u, err)
		}
	}
	for _, tt := range []struct{ service, wants string }{
		{"ftp://registry.example", `"ftp://registry.example" is no URL of a registry service`},
		{"registry.example", `"registry.example" is no URL`},
		{"https://registry.example/?a=b", "is no URL"},
		{"https://registry.example:x", "invalid port"},
		{"https://u:sekrit@registry.example", "no name and no password"},
		{"https://u:se%krit@registry.example", "no name and no password"},
	} {
		_, err := feed.ParseService(tt.service)
		if err == nil || !strings.Contains(err.Error(), tt.wants) || strings.Contains(err.Error(), "krit") {
			t.Errorf("%q: got %v; want %q", tt.service, err, tt.wants)
		}
	}
}
