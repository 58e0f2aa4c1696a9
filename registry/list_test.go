package registry_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func TestLists(t *testing.T) {
	for _, l := range registry.AllLists() {
		if got, err := registry.ParseList(l.String()); err != nil || got != l {
			t.Errorf("ParseList(%q) = %v, %v", l, got, err)
		}
	}
	if n := len(registry.AllLists()); n != 7 {
		t.Errorf("%d lists; want 7", n)
	}
	for _, s := range []string{"", "none", "network"} {
		if _, err := registry.ParseList(s); err == nil || !strings.Contains(err.Error(), "networks") {
			t.Errorf("ParseList(%q): %v", s, err)
		}
	}
}

func TestEntryCheck(t *testing.T) {
	for _, e := range []registry.Entry{
		{List: registry.ListTLDs, Key: "test"},
		{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "aliyun ecs cn-beijing"},
		{List: registry.ListNetworks, Key: "192.0.2.0/24", Gone: true},
	} {
		if err := e.Check(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, e := range []registry.Entry{
		{Key: "test"}, {List: 200, Key: "test"}, {List: registry.ListTLDs},
		{List: registry.ListTLDs, Key: "a\tb"}, {List: registry.ListTLDs, Key: "a", Value: "b\n"},
		{List: registry.ListTLDs, Key: "a", Value: "# b"}, {List: registry.ListTLDs, Key: "\xff"}, {List: registry.ListTLDs, Key: " a"},
		{List: registry.ListTLDs, Key: strings.Repeat("a", registry.MaxEntry+1)},
		{List: registry.ListTLDs, Key: "a", Value: "b", Gone: true},
	} {
		if e.Check() == nil {
			t.Errorf("%+v passes", e)
		}
	}
}
