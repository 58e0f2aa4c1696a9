package registry_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func TestPolicySet(t *testing.T) {
	var p registry.Policy
	for _, tt := range []struct{ knob, word string }{
		{"gov", "inherit"}, {"ip-literal", "filed-only"}, {"no-host", "block"}, {"pending-access", "allow"},
		{"fail", "closed"}, {"mode", "monitor"}, {"mixed", "block"},
	} {
		if err := p.Set(tt.knob, tt.word); err != nil {
			t.Fatal(err)
		}
	}
	want := registry.Policy{Gov: registry.GovInherit, IPLiteral: registry.IPLiteralFiledOnly, NoHost: registry.NoHostBlock,
		PendingAccess: registry.PendingAccessAllow, Fail: registry.FailClosed, Mode: registry.Monitor, Mixed: registry.MixedBlock}
	if p != want {
		t.Errorf("got %+v; want %+v", p, want)
	}
	words := []string{p.Gov.String(), p.IPLiteral.String(), p.NoHost.String(), p.PendingAccess.String(), p.Fail.String(), p.Mode.String(), p.Mixed.String()}
	if got := strings.Join(words, " "); got != "inherit filed-only block allow closed monitor block" {
		t.Errorf("words: got %q", got)
	}
	for _, tt := range []struct{ knob, word, want string }{
		{"ip_literal", "block", "ip-literal"},
		{"colour", "red", "gov, ip-literal, no-host, pending-access, fail, mode or mixed"},
		{"gov", "lax", "strict or inherit"},
		{"ip-literal", "", "allow, filed-only or block"},
		{"mode", "Monitor", "enforce or monitor"},
	} {
		if err := p.Set(tt.knob, tt.word); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Set(%q, %q): got %v; want an error with %q", tt.knob, tt.word, err, tt.want)
		}
	}
}

// TestZeroPolicy: the zero value is the default that the rule book gives for
// every knob.
func TestZeroPolicy(t *testing.T) {
	var set registry.Policy
	for _, knob := range [][2]string{{"gov", "strict"}, {"ip-literal", "allow"}, {"no-host", "allow"}, {"pending-access", "block"},
		{"fail", "open"}, {"mode", "enforce"}, {"mixed", "strip"}} {
		if err := set.Set(knob[0], knob[1]); err != nil {
			t.Fatal(err)
		}
	}
	if set != (registry.Policy{}) {
		t.Errorf("the defaults written out: got %+v; want the zero value", set)
	}
	n := 0
	for knob, values := range registry.Knobs() {
		n++
		for i, value := range values {
			var p registry.Policy
			if err := p.Set(knob, value); err != nil || (p == registry.Policy{}) != (i == 0) {
				t.Errorf("%s=%s: %v, %+v; want the first value to be the zero one, and no other", knob, value, err, p)
			}
			if err := p.Set(knob, value+"x"); err == nil || !strings.Contains(err.Error(), registry.AnyOf(values)) {
				t.Errorf("%s=%sx: %v; want an error that names %q", knob, value, err, values)
			}
		}
	}
	if n != 7 {
		t.Errorf("%d knobs; want 7", n)
	}
}

func TestExemptionHolds(t *testing.T) {
	for _, tt := range []struct {
		name string
		e    registry.Exemption
		now  int64
		want bool
	}{
		{"none", registry.Exemption{}, 0, false},
		{"none with an end", registry.Exemption{Until: 10}, 5, false},
		{"without end", registry.Exemption{Granted: true}, 1 << 40, true},
		{"before its end", registry.Exemption{Granted: true, Until: 10}, 9, true},
		{"at its end", registry.Exemption{Granted: true, Until: 10}, 10, false},
		{"after its end", registry.Exemption{Granted: true, Until: 10}, 11, false},
	} {
		if got := tt.e.Holds(tt.now); got != tt.want {
			t.Errorf("%s: got %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestEffectOf(t *testing.T) {
	block := registry.Verdict{Reason: registry.Unfiled, Block: true}
	pass := registry.Verdict{Reason: registry.Filed}
	for _, tt := range []struct {
		p      registry.Policy
		v      registry.Verdict
		others bool
		want   registry.Effect
	}{
		{registry.Policy{}, pass, false, registry.EffectPass},
		{registry.Policy{}, pass, true, registry.EffectPass},
		{registry.Policy{}, block, false, registry.EffectBlock},
		{registry.Policy{}, block, true, registry.EffectStrip},
		{registry.Policy{Mixed: registry.MixedBlock}, block, true, registry.EffectBlock},
		{registry.Policy{Mode: registry.Monitor}, block, false, registry.EffectPass},
		{registry.Policy{Mode: registry.Monitor, Mixed: registry.MixedBlock}, block, true, registry.EffectPass},
	} {
		if got := tt.p.EffectOf(tt.v, tt.others); got != tt.want {
			t.Errorf("%+v, %s, others %v: got %s; want %s", tt.p, tt.v, tt.others, got, tt.want)
		}
	}
}
