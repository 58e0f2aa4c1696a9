package gate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// integrations are the sections of docs/integrations that have files to copy, by
// FILE#SECTION, and what tries them.
var integrations = map[string]func(t *testing.T, f fences){}

// fences are the files of a section, by name, as they stand there.
type fences map[string]string

// TestIntegrations tries the configurations that operators are told to copy: those
// of each section together, with the proxy that they are for.
func TestIntegrations(t *testing.T) {
	paths, err := filepath.Glob("../docs/integrations/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d documents, %v", len(paths), err)
	}
	tried := map[string]bool{}
	for _, path := range paths {
		for section, f := range sections(t, path) {
			name := filepath.Base(path) + "#" + section
			tried[name] = true
			try := integrations[name]
			if try == nil {
				t.Errorf("%s: nobody tries it", name)
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(t, f)
			})
		}
	}
	for name := range integrations {
		if !tried[name] {
			t.Errorf("%s: there is no such section", name)
		}
	}
}

// sections reads the files of a document. A fence begins with ~~~, its language and
// the name of the file; one without a name is no file.
func sections(t *testing.T, path string) map[string]fences {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]fences{}
	section, file := "", ""
	inside := false
	for line := range strings.Lines(string(text)) {
		mark, isMark := strings.CutPrefix(strings.TrimRight(line, "\n"), "~~~")
		title, isTitle := strings.CutPrefix(line, "## ")
		switch {
		case isMark && inside:
			inside, file = false, ""
		case isMark:
			inside = true
			if words := strings.Fields(mark); len(words) == 2 {
				file = words[1]
				if all[section] == nil {
					all[section] = fences{}
				}
				if all[section][file] != "" {
					t.Errorf("%s: section %q has two files %s", path, section, file)
				}
			}
		case inside && file != "":
			all[section][file] += line
		case isTitle && !inside:
			section = strings.TrimSpace(title)
		}
	}
	return all
}

// with replaces what is written for the operator's machine by what the test has,
// in all files. What is to be replaced must be there.
func (f fences) with(t *testing.T, pairs ...string) fences {
	t.Helper()
	changed := fences{}
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for name, text := range f {
			found = found || strings.Contains(text, pairs[i])
			changed[name] = text
		}
		if !found {
			t.Fatalf("%q stands in no file of the section", pairs[i])
		}
	}
	for name, text := range f {
		changed[name] = strings.NewReplacer(pairs...).Replace(text)
	}
	return changed
}

// write writes files into a directory.
func (f fences) write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if f[name] == "" {
			t.Fatalf("the section has no file %s", name)
		}
		writeFile(t, dir, name, f[name])
	}
}
