package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

// TestReasons holds the table of the rule book: which reasons block, and which
// page they choose.
func TestReasons(t *testing.T) {
	pages := map[registry.Reason]registry.Page{
		registry.Unfiled: registry.PageUnfiled, registry.GovUnitUnfiled: registry.PageUnfiled,
		registry.IPUnfiled: registry.PageUnfiled, registry.Cancelled: registry.PageUnfiled,
		registry.NotAccessed: registry.PageNotAccessed, registry.AccessCancelledHere: registry.PageNotAccessed, registry.Shell: registry.PageNotAccessed,
		registry.Restricted: registry.PageOther, registry.Blacklisted: registry.PageOther, registry.IPRefused: registry.PageOther,
		registry.NoHostRefused: registry.PageOther, registry.Malformed: registry.PageOther,
		registry.Undecided: registry.PageUndecided,
	}
	seen := map[string]bool{}
	for _, r := range registry.Reasons() {
		page, blocks := pages[r]
		if got := r.Page(); got != page {
			t.Errorf("%s: got page %s; want %s", r, got, page)
		}
		if got, want := r.Blocks(), blocks && r != registry.Undecided; got != want {
			t.Errorf("%s blocks: got %v; want %v", r, got, want)
		}
		again, err := registry.ParseReason(r.String())
		if err != nil || again != r || seen[r.String()] || strings.HasPrefix(r.String(), "invalid") {
			t.Errorf("%s: got %v, %v back; want itself, under a word of its own", r, again, err)
		}
		seen[r.String()] = true
	}
	if registry.Reason(200).Blocks() || registry.Reason(200).Page() != registry.PageNone {
		t.Error("a reason that does not exist blocks or has a page")
	}
}

func TestVerdictPage(t *testing.T) {
	for _, tt := range []struct {
		v    registry.Verdict
		want registry.Page
	}{
		{registry.Verdict{}, registry.PageNone},
		{registry.Verdict{Reason: registry.Undecided, Block: true}, registry.PageUndecided},
		{registry.Verdict{Reason: registry.Unfiled, Block: true}, registry.PageUnfiled},
		{registry.Verdict{Reason: registry.Filed}, registry.PageNone},
	} {
		if got := tt.v.Page(); got != tt.want {
			t.Errorf("%s %s: got page %s; want %s", tt.v, tt.v.Reason, got, tt.want)
		}
	}
}

func TestAdvisories(t *testing.T) {
	var s registry.Advisories
	if s.String() != "" || s.Slice() == nil || len(s.Slice()) != 0 {
		t.Errorf("the empty set: got %q, %v; want nothing, not nil", s, s.Slice())
	}
	s = s.With(registry.UseDNS01).With(registry.PSBRequired).With(registry.UseDNS01)
	if got, want := s.Slice(), []registry.Advisory{registry.PSBRequired, registry.UseDNS01}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	if s.String() != "psb-required,use-dns01" || !s.Has(registry.UseDNS01) || s.Has(registry.ShellRisk) {
		t.Errorf("got %q", s)
	}
	for a := registry.Advisory(0); a <= registry.UseDNS01; a++ {
		if again, err := registry.ParseAdvisory(a.String()); err != nil || again != a {
			t.Errorf("%s: got %v, %v back; want itself", a, again, err)
		}
	}
}

// text is a word of the rule book as JSON carries it.
type text interface {
	String() string
	MarshalText() ([]byte, error)
}

// TestWordsRoundTrip: every word comes back as the value it was written from, and
// what is no word is refused with the legal ones.
func TestWordsRoundTrip(t *testing.T) {
	roundTrip(t, "place", registry.Overseas+2, func(p registry.Place) text { return p }, registry.ParsePlace, (*registry.Place).UnmarshalText)
	roundTrip(t, "product", registry.Mail+1, func(p registry.Product) text { return p }, registry.ParseProduct, (*registry.Product).UnmarshalText)
	roundTrip(t, "acceleration", registry.OverseasAcceleration+1, func(p registry.Acceleration) text { return p }, registry.ParseAcceleration, (*registry.Acceleration).UnmarshalText)
	roundTrip(t, "origin", registry.OriginOverseas+1, func(p registry.Origin) text { return p }, registry.ParseOrigin, (*registry.Origin).UnmarshalText)
	roundTrip(t, "kind", registry.KindIP+1, func(p registry.Kind) text { return p }, registry.ParseKind, (*registry.Kind).UnmarshalText)
	roundTrip(t, "status", registry.StatusCancelled+1, func(p registry.Status) text { return p }, registry.ParseStatus, (*registry.Status).UnmarshalText)
	roundTrip(t, "access status", registry.AccessCancelled+1, func(p registry.AccessStatus) text { return p }, registry.ParseAccessStatus, (*registry.AccessStatus).UnmarshalText)
	roundTrip(t, "nature", registry.NotaryOffice+1, func(p registry.Nature) text { return p }, registry.ParseNature, (*registry.Nature).UnmarshalText)
	roundTrip(t, "reason", registry.Malformed+1, func(p registry.Reason) text { return p }, registry.ParseReason, (*registry.Reason).UnmarshalText)
	roundTrip(t, "page", registry.PageUndecided+1, func(p registry.Page) text { return p }, registry.ParsePage, (*registry.Page).UnmarshalText)
	roundTrip(t, "advisory", registry.UseDNS01+1, func(p registry.Advisory) text { return p }, registry.ParseAdvisory, (*registry.Advisory).UnmarshalText)
}

func roundTrip[T ~uint8](t *testing.T, what string, end T, as func(T) text, parse func(string) (T, error), unmarshal func(*T, []byte) error) {
	t.Helper()
	for v := T(0); v < end; v++ {
		b, err := as(v).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		back, err1 := parse(string(b))
		var again T
		err2 := unmarshal(&again, b)
		if err1 != nil || err2 != nil || back != v || again != v {
			t.Errorf("%s %s: got %v, %v (%v, %v); want itself", what, b, back, again, err1, err2)
		}
	}
	if got := as(end).String(); !strings.HasPrefix(got, "invalid") {
		t.Errorf("%s: %q stands behind the last one; want it tested too", what, got)
	}
	if _, err := parse("no such word"); err == nil || !strings.Contains(err.Error(), "expect") {
		t.Errorf("%s: got %v; want an error with the legal words", what, err)
	}
}
