//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kind is one way to run a server.
type kind struct {
	name    string
	program string
	policy  bool // withholds what is not filed
	ours    bool // has to be right in every answer
	unfiled bool // its registry holds none of the names, so it blocks them all
	rpz     bool // takes the policy as RPZ, or is the peer of one that does
	// configure writes what the server reads and returns its command line.
	configure func(w world, dir string, port, upstream int) ([]string, error)
}

// kinds returns the servers by group; the first of a group is the one without a
// policy, to which the others are compared.
func kinds(coredns, before string) [][]kind {
	icp := []kind{
		{name: "CoreDNS", program: coredns, configure: corefile(coredns, "")},
		{name: "CoreDNS icp", program: coredns, policy: true, ours: true, configure: corefileICP(coredns, world.snapshot)},
		{name: "CoreDNS icp unfiled", program: coredns, policy: true, ours: true, unfiled: true, configure: corefileICP(coredns, world.others)},
	}
	if before != "" {
		icp = append(icp, kind{name: "CoreDNS icp before", program: before, policy: true, ours: true, configure: corefileICP(before, world.snapshot)})
	}
	return [][]kind{
		icp,
		{
			{name: "CoreDNS", program: coredns, configure: corefile(coredns, "")},
			{name: "CoreDNS acl", program: coredns, configure: corefileACL(coredns)},
		},
		peers("PowerDNS", "pdns_recursor", powerDNS),
		peers("BIND", "named", bind),
		peers("Unbound", "unbound", unbound),
	}
}

func peers(name, program string, configure func(rpz bool) configureFunc) []kind {
	return []kind{
		{name: name, program: program, rpz: true, configure: configure(false)},
		{name: name + " RPZ", program: program, rpz: true, policy: true, configure: configure(true)},
	}
}

type configureFunc = func(w world, dir string, port, upstream int) ([]string, error)

// missing reports whether the programs of a kind are not installed.
func (k kind) missing() bool {
	_, err := exec.LookPath(k.program)
	return err != nil
}

// blocks reports whether the nth name of a set is to get no address.
func (k kind) blocks(set string, nth int) bool {
	switch set {
	case "block":
		return k.policy
	case "mix":
		return k.policy && (k.unfiled || blockedInMix(nth))
	case "pass":
		return k.unfiled
	}
	return false
}

// filings is how many filings the policy of a kind holds.
func (k kind) filings(w world) int {
	if k.rpz {
		return w.rpz
	}
	return w.filings
}

const icpBlock = `icp {
		registry %s
		mainland %s
	}`

// corefile is forward and cache, with more lines. The cache holds all that is
// asked.
func corefile(program, more string) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		return writeCorefile(program, dir, port, upstream, more)
	}
}

// corefileICP has the directive, with one of the registries.
func corefileICP(program string, registry func(world) string) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		return writeCorefile(program, dir, port, upstream, fmt.Sprintf(icpBlock, registry(w), w.path("mainland")))
	}
}

// corefileACL uses the mainland list for what acl can tell: clients. Nobody who
// asks here is on it.
func corefileACL(program string) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		list, err := os.ReadFile(w.path("mainland"))
		if err != nil {
			return nil, err
		}
		return writeCorefile(program, dir, port, upstream, "acl {\n\t\tblock net "+strings.Join(strings.Fields(string(list)), " ")+"\n\t}")
	}
}

func writeCorefile(program, dir string, port, upstream int, more string) ([]string, error) {
	text := fmt.Sprintf(`.:%d {
	bind 127.0.0.1
	%s
	cache {
		success 1000000
	}
	forward . 127.0.0.1:%d
}
`, port, more, upstream)
	return write(dir, "Corefile", text, program, "-conf", filepath.Join(dir, "Corefile"))
}

// write writes a server's configuration and passes its command line on.
func write(dir, name, text string, args ...string) ([]string, error) {
	return args, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

func unbound(rpz bool) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		text := fmt.Sprintf(`server:
	interface: 127.0.0.1@%d
	num-threads: 1
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	do-daemonize: no
	do-not-query-localhost: no
	module-config: "respip iterator"
	msg-cache-size: 512m
	rrset-cache-size: 512m
	do-tcp: no
forward-zone:
	name: "."
	forward-addr: 127.0.0.1@%d
remote-control:
	control-enable: no
`, port, dir, upstream)
		if rpz {
			text += fmt.Sprintf("rpz:\n\tname: rpz.test\n\tzonefile: %q\n", w.zone())
		}
		conf := filepath.Join(dir, "unbound.conf")
		return write(dir, "unbound.conf", text, "unbound", "-d", "-c", conf)
	}
}

func bind(rpz bool) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		policy, zone := "", ""
		if rpz {
			policy = `response-policy { zone "rpz.test"; } qname-wait-recurse no;`
			zone = fmt.Sprintf("zone \"rpz.test\" { type primary; file %q; };\n", w.zone())
		}
		text := fmt.Sprintf(`options {
	directory %q;
	pid-file none;
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	forward only;
	forwarders { 127.0.0.1 port %d; };
	recursion yes;
	allow-query { any; };
	dnssec-validation no;
	empty-zones-enable no;
	max-cache-size 1g;
	%s
};
controls { };
%s`, dir, port, upstream, policy, zone)
		return write(dir, "named.conf", text, "named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	}
}

func powerDNS(rpz bool) configureFunc {
	return func(w world, dir string, port, upstream int) ([]string, error) {
		lua := filepath.Join(dir, "rpz.lua")
		text := ""
		if rpz {
			text = fmt.Sprintf("rpzFile(%q, {policyName=\"icp\"})\n", w.zone())
		}
		if err := os.WriteFile(lua, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return []string{
			"pdns_recursor", "--config-dir=" + dir, "--socket-dir=" + dir,
			fmt.Sprintf("--local-address=127.0.0.1:%d", port),
			fmt.Sprintf("--forward-zones-recurse=.=127.0.0.1:%d", upstream),
			"--dont-query=", "--dnssec=off", "--threads=1", "--pdns-distributes-queries=no", "--daemon=no",
			"--max-cache-entries=2000000", "--max-packetcache-entries=2000000", "--quiet", "--lua-config-file=" + lua,
		}, nil
	}
}
