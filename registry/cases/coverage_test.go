package cases_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// rules are the functions that hold a rule, by file. "*" is every function of
// the file but those listed with "-" before them, which only name things.
var rules = map[string][]string{
	"verdict.go": {"*", "-ParseChannel", "-Channel.String", "-Verdict.String", "-Effect.String"},
	"filing.go":  {"Filing.Scope", "coveredHost", "Status.Stands"},
	"profile.go": {"Profile.Demand", "Profiles.For"},
	"policy.go":  {"Exemption.Holds"},
	"access.go":  {"Access.GraceUntil"},
	"place.go":   {"Place.Outside"},
	"site.go":    {"Kind.App"},
	"host.go":    {"Host.Kind", "Domain.NotJudged"},
	"suffix.go":  {"TLDs.Fileable", "Domain.fileableTLD", "Domain.IsGov"},
	"reason.go":  {"Reason.Blocks", "Reason.severity", "Advisories.With"},
}

const rulesPackage = "github.com/icpgate/icpgate/registry"

// TestCasesCoverTheRules: the cases alone run every branch of the rules.
func TestCasesCoverTheRules(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to measure coverage with")
	}
	profile := filepath.Join(t.TempDir(), "cover")
	out, err := exec.Command("go", "test", "-count=1", "-run", "^TestCases$", "-coverpkg", rulesPackage, "-coverprofile", profile, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("the cases with coverage: %v\n%s", err, out)
	}
	blocks := readProfile(t, profile)
	for file, names := range rules {
		checkCovered(t, file, names, blocks[path.Join(rulesPackage, file)])
	}
}

// block is a stretch of code in a coverage profile.
type block struct {
	fromLine, fromCol, toLine, toCol, statements int
	covered                                      bool
}

func (b block) String() string {
	return fmt.Sprintf("%d:%d to %d:%d", b.fromLine, b.fromCol, b.toLine, b.toCol)
}

func readProfile(t *testing.T, name string) map[string][]block {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks := map[string][]block{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		file, rest, ok := strings.Cut(lines.Text(), ".go:")
		if !ok {
			continue // the line with the mode
		}
		var b block
		count := 0
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.fromLine, &b.fromCol, &b.toLine, &b.toCol, &b.statements, &count); err != nil {
			t.Fatalf("line %q of the coverage profile: %v", lines.Text(), err)
		}
		b.covered = count > 0
		blocks[file+".go"] = append(blocks[file+".go"], b)
	}
	return blocks
}

// checkCovered reports every block of the named functions that no case runs.
func checkCovered(t *testing.T, file string, names []string, blocks []block) {
	t.Helper()
	wanted, all := map[string]bool{}, false
	for _, n := range names {
		if n == "*" {
			all = true
			continue
		}
		name, unwanted := strings.CutPrefix(n, "-")
		wanted[name] = !unwanted
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := funcName(f)
		check, listed := wanted[name]
		delete(wanted, name)
		if !check && (listed || !all) {
			continue
		}
		from, to := fset.Position(f.Body.Pos()).Line, fset.Position(f.Body.End()).Line
		found := false
		for _, b := range blocks {
			if b.fromLine < from || b.toLine > to {
				continue
			}
			found = true
			if !b.covered && b.statements > 0 {
				t.Errorf("registry/%s: %s: no case runs %s", file, name, b)
			}
		}
		if !found {
			t.Errorf("registry/%s: %s: nothing in the coverage profile", file, name)
		}
	}
	for name := range wanted {
		t.Errorf("registry/%s has no function %s", file, name)
	}
}

// funcName is the name of a function, with its receiver's type before it.
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	r := f.Recv.List[0].Type
	if star, ok := r.(*ast.StarExpr); ok {
		r = star.X
	}
	return r.(*ast.Ident).Name + "." + f.Name.Name
}
