package gate

import (
	"iter"
	"net/http"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// A request may tell hosts beside the one it is for: X-Forwarded-Host and Forwarded
// hold what a client has asked a proxy in front for, by the word of that proxy, or of
// the client itself. Many programs go by them before they go by Host. So each that
// is passed on must pass, as the host must; where `forwarded replace` takes them out
// they say nothing.

// hostsTold lists the hosts that fields tell, as sniff.Request does.
func hostsTold(h http.Header, withAlike bool) iter.Seq2[sniff.Kind, []byte] {
	return func(yield func(sniff.Kind, []byte) bool) {
		for name, values := range h {
			tells, alike := sniff.TellsOf([]byte(name))
			if alike && !withAlike {
				continue
			}
			for _, value := range values {
				for kind, host := range sniff.HostsOf(tells, []byte(value)) {
					if !yield(kind, host) {
						return
					}
				}
			}
		}
	}
}

// passesAlike reports whether fields are passed on that are Alike, as sniff has it.
func (s *service) passesAlike() bool { return s.forwarded == ForwardedOff }

// tellsBadHost reports whether one of the hosts that are told, and passed on, cannot
// be read in one way.
func (s *service) tellsBadHost(told iter.Seq2[sniff.Kind, []byte]) bool {
	if s.forwarded == ForwardedReplace {
		return false
	}
	for kind := range told {
		if kind == sniff.Malformed {
			return true
		}
	}
	return false
}

// withTold judges the hosts that are told and passed on beside the one that is asked
// for, by what is in force. It returns the one that counts, with its verdict: the
// first that is blocked.
func (s *service) withTold(inForce *service, a asked, v registry.Verdict, r *route, told iter.Seq2[sniff.Kind, []byte]) (asked, registry.Verdict) {
	if v.Block || s.forwarded == ForwardedReplace {
		return a, v
	}
	for kind, host := range told {
		t := hostOf(kind, host, a.channel)
		t.host.ACME = a.host.ACME
		if w := inForce.judge(t, r); w.Block {
			return t, w
		}
	}
	return a, v
}
