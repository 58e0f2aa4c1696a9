package registry_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/icpgate/icpgate"

// mayImport says which rooms of this module each room may import directly. A
// room that is not listed may import none. cmd may import all.
var mayImport = map[string][]string{
	"registry":               {},
	"registry/explain":       {"registry"},
	"registry/disk":          {},
	"registry/disk/powercut": {"registry/disk"},
	"registry/index":         {"registry", "registry/disk"},
	"registry/place":         {"registry"},
	"registry/feed":          {"registry", "registry/disk", "registry/index"},
	"registry/bulk":          {"registry"},
	"registry/cases":         {"registry", "registry/index", "registry/place", "registry/bulk"},
	"registry/store":         {"registry", "registry/disk"},
	"registry/edge":          {"registry", "registry/disk", "registry/index", "registry/place", "registry/feed", "registry/explain"},
	"registry/api":           {"registry", "registry/store", "registry/feed", "registry/index", "registry/place", "registry/bulk", "registry/explain", "registry/edge"},
	"plugin":                 {"registry", "registry/edge"},
	"gate":                   {"registry", "registry/edge", "registry/explain", "gate/sniff", "gate/authz", "gate/authz/spop", "gate/authz/extauthz", "gate/internal/udp"},
	"gate/authz":             {"registry", "registry/explain", "gate/sniff", "gate/authz/spop"},
	"gate/authz/spop":        {},
	"gate/authz/extauthz":    {"registry", "gate/sniff", "gate/authz"},
	"gate/sniff":             {},
	"gate/internal":          {},
}

// never lists what a room must not import from outside the module; a path stands
// for itself and all below it. Transitive imports cannot be banned: even fmt
// reaches os.
var never = map[string][]string{
	"registry":       {"net", "os", "log", "database/sql", "time/tzdata", "github.com"},
	"registry/index": {"database/sql", "github.com/coredns", "github.com/miekg/dns", "net/http"},
	"registry/edge":  {"database/sql", "github.com/coredns/coredns"},
	"plugin":         {"database/sql"},
	"gate":           {"database/sql", "github.com/coredns/coredns"},
}

// unless names what a ban of never does not reach.
var unless = []string{"net/netip"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportDirection(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); seen++ {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		for _, problem := range wrongImports(p) {
			t.Error(problem)
		}
	}
	if seen < 5 {
		t.Errorf("go list showed %d packages; want all of the module", seen)
	}
}

// wrongImports lists the imports of p that point the wrong way.
func wrongImports(p goPackage) (problems []string) {
	room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	for _, path := range p.Imports {
		target, ours := strings.CutPrefix(path, module+"/")
		switch {
		case ours && !allowed(room, target):
			problems = append(problems, room+" must not import "+target)
		case !ours && banned(room, path):
			problems = append(problems, room+" must not import "+path)
		}
	}
	return problems
}

func allowed(room, target string) bool {
	top, _, _ := strings.Cut(room, "/")
	if top == "cmd" || top == "bench" || top == "deploy" {
		return true
	}
	rooms, ok := mayImport[room]
	if !ok && (top == "gate" || top == "plugin") {
		// A part of a room may also import the other parts.
		rooms = append(slices.Clone(mayImport[top]), top)
	}
	return slices.ContainsFunc(rooms, func(r string) bool { return target == r || top == "gate" && within(target, r) && r == "gate" })
}

func banned(room, path string) bool {
	for owner, paths := range never {
		if room != owner && !(owner != "registry" && within(room, owner)) {
			continue
		}
		for _, p := range paths {
			if within(path, p) && !slices.Contains(unless, path) {
				return true
			}
		}
	}
	return false
}

func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// TestWrongImportsAreSeen holds the test itself: a check that cannot fail is none.
func TestWrongImportsAreSeen(t *testing.T) {
	for _, tc := range []struct {
		room, imports string
		wrong         bool
	}{
		{"registry", "net", true},
		{"registry", "net/http", true},
		{"registry", "net/netip", false},
		{"registry", module + "/registry/index", true},
		{"registry/index", module + "/registry", false},
		{"registry/index", module + "/registry/store", true},
		{"plugin", "database/sql", true},
		{"plugin", module + "/registry/index", true},
		{"plugin", "github.com/coredns/coredns/plugin", false},
		{"gate", "github.com/coredns/coredns/plugin", true},
		{"gate", "github.com/coredns/caddy/caddyfile", false},
		{"gate/sniff", module + "/registry/store", true},
		{"gate/sniff", "database/sql", true},
		{"cmd/coredns", module + "/plugin", false},
	} {
		p := goPackage{ImportPath: module + "/" + tc.room, Imports: []string{tc.imports}}
		if got := len(wrongImports(p)) > 0; got != tc.wrong {
			t.Errorf("%s imports %s: wrong = %v; want %v", tc.room, tc.imports, got, tc.wrong)
		}
	}
}
