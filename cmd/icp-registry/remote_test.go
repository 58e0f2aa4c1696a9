package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// remote runs commands against a service.
type remote struct {
	*testing.T
	url string
	dir string
}

// as runs a command with somebody's token, and returns what it prints on either
// output; another exit code than want is an error.
func (r *remote) as(who string, want int, args ...string) string {
	r.Helper()
	cmd := exec.Command("icp-registry", append(args, "--server", r.url, "--token-file", filepath.Join(r.dir, who+".txt"))...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != want {
		r.Fatalf("%s as %s: %v, exit code %d; want %d: %s", strings.Join(args, " "), who, err, got, want, out)
	}
	return string(out)
}

// until runs a command that asks what edges are told, with its exit code 0, until it
// prints what is wanted: a change is with edges in a moment after the registry of
// record has it, and not before its command ends.
func (r *remote) until(who, want string, args ...string) {
	r.Helper()
	for begun := time.Now(); ; {
		out := r.as(who, 0, args...)
		if strings.Contains(out, want) {
			return
		}
		if time.Since(begun) > 5*time.Minute {
			r.Fatalf("%s as %s prints %s; want %q", strings.Join(args, " "), who, out, want)
		}
	}
}

// token makes a token of somebody and keeps it in a file.
func token(t *testing.T, dir, owner, scopes string, where ...string) {
	t.Helper()
	secret := runOut(t, append([]string{"token", "create", owner, "--scope", scopes}, where...)...)
	if err := os.WriteFile(filepath.Join(dir, owner+".txt"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
}

var importID = regexp.MustCompile(`[0-9a-f]{16}`)

// TestCommands: commands do over a service what they do on a database, for who may,
// with SQLite and with PostgreSQL.
func TestCommands(t *testing.T) {
	for name, database := range map[string]func(*testing.T) []string{
		"sqlite":   func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string { return []string{"--db", storetest.Database(t, "")} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			where := append([]string{"--dir", filepath.Join(dir, "registry")}, database(t)...)
			token(t, dir, "ann", "read,write,import,sightings,coverage", where...)
			token(t, dir, "bob", "read,approve", where...)
			token(t, dir, "root", "admin,read,feed", where...)
			_, url := startServe(t, append([]string{"--listen", "127.0.0.1:0"}, where...)...)
			commands(&remote{t, url, dir})
		})
	}
}

func commands(r *remote) {
	has := func(out, want string) {
		r.Helper()
		if !strings.Contains(out, want) {
			r.Errorf("%s; want %q", out, want)
		}
	}
	has(r.as("ann", 0, "set", "a.example", "--new", "--provider", "aliyun", "--why", "order 1"), "a.example (site)")
	has(r.as("bob", 1, "set", "a.example", "--restricted", "--why", "x"), `hint: use a token with this scope`)
	has(r.as("bob", 0, "history", "a.example"), "order 1")
	r.until("ann", "pass", "explain", "www.a.example", "--provider", "aliyun")
	has(r.as("ann", 3, "explain", "www.b.example", "--exit-code", "--json"), `"reason": "unfiled"`)
	has(r.as("ann", 2, "explain", "www.b.example", "--policy", "gov=inherit"), "a service judges by its own")

	list := "domain,status\n"
	for i := range 40 {
		list += fmt.Sprintf("n%d.example,normal\n", i)
	}
	write := func(name, text string) string {
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
		return path
	}
	has(r.as("ann", 0, "import", write("list.csv", list), "--why", "first list", "--yes"), "done")
	has(r.as("bob", 1, "import", write("list.csv", list), "--why", "first list", "--yes"), `scope "import"`)
	// Half of what is there goes: a second person must look at it.
	short := write("short.csv", "domain,status\nn1.example,normal\n")
	has(r.as("ann", 1, "import", short, "--complete", "--why", "second list", "--yes"), "--allow-shrink")
	out := r.as("ann", 3, "import", short, "--complete", "--allow-shrink", "--why", "second list", "--yes")
	has(out, "waiting")
	id := importID.FindString(out)
	has(r.as("ann", 1, "import", "publish", id), "second person")
	has(r.as("ann", 1, "import", "approve", id, "--why", "my own"), `scope "approve"`)
	has(r.as("bob", 0, "import", "approve", id, "--why", "compared with the list"), "staged")
	has(r.as("ann", 0, "import", "resume", id), "done")
	has(r.as("bob", 0, "history", "--what", "import", "--who", "bob"), "confirmed_by: none → bob; state: waiting → staged")
	if out := r.as("bob", 0, "history", "--what", "import"); strings.Contains(out, "ann → none") || !strings.Contains(out, "state: staged → done") {
		r.Errorf("the journal of imports says\n%s", out)
	}
	has(r.as("bob", 0, "history", "n7.example"), "status: normal → cancelled")
	has(r.as("ann", 0, "import", "undo", id, "--why", "the wrong list"), "done")
	has(r.as("bob", 0, "history", "n7.example"), "status: cancelled → normal")
	has(r.as("bob", 0, "import", "show", id), "done")

	has(r.as("bob", 0, "edges", "-o", "json"), `"edges": []`)
	has(r.as("root", 0, "doctor", "--key", filepath.Join(r.dir, "registry", publicName)), "it agrees with itself")
	has(r.as("bob", 0, "doctor"), "use a token with the scope admin")
	other := write("other.pem", "no key")
	has(r.as("root", 3, "doctor", "--key", other), "failed")
	has(r.as("root", 0, "backup", filepath.Join(r.dir, "backup.icp")), "rows of site")
	has(r.as("bob", 1, "backup", filepath.Join(r.dir, "none.icp")), `scope "admin"`)
	r.until("root", "41", "snapshot", filepath.Join(r.dir, "registry.icp"))
	// From one database into the other: a backup is the same for both.
	into := filepath.Join(r.dir, "restored")
	if err := os.MkdirAll(into, 0o700); err != nil {
		r.Fatal(err)
	}
	key := filepath.Join(r.dir, "registry", personalName)
	has(runOut(r.T, "restore", filepath.Join(r.dir, "backup.icp"), "--dir", into, "--personal-key", key), "rows of site")
	has(runOut(r.T, "history", "n7.example", "--dir", into, "--personal-key", key), "the wrong list")

	made := r.as("root", 0, "token", "create", "eve", "--scope", "read", "-o", "csv")
	has(made, "icp_")
	eve := importID.FindString(made)
	has(r.as("root", 0, "token", "list"), "eve")
	has(r.as("root", 0, "token", "revoke", eve), "revoked")
	has(r.as("root", 2, "token", "create", "eve", "--scope", "everything"), "everything")
	for _, days := range []string{"0", "-5", "200000", "1000000000"} {
		has(r.as("root", 2, "token", "create", "eve", "--scope", "read", "--days", days), "--days "+days)
	}
	write("eve.txt", "icp_0123456789abcdef_AAAA")
	has(r.as("eve", 1, "history", "a.example"), "hint: see whether the file of the token is right")
}

// TestKilledWhilePublishing: a service that is killed while it publishes an import
// goes on with it by itself when it is started again, wherever it was, and nothing
// is lost or doubled.
func TestKilledWhilePublishing(t *testing.T) {
	for name, database := range map[string]func(*testing.T) []string{
		"sqlite":   func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string { return []string{"--db", storetest.Database(t, "")} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			where := append([]string{"--dir", filepath.Join(dir, "registry")}, database(t)...)
			token(t, dir, "ann", "read,import,feed,admin", where...)
			serve := append([]string{"--listen", "127.0.0.1:0"}, where...)
			cmd, url := startServe(t, serve...)
			r := &remote{t, url, dir}
			const filings = 40_000
			for all := filings; ; all += filings {
				id, edge := r.publishing(all-filings, all)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // it was killed
				edge.end()
				var said *serviceLog
				cmd, r.url, said = startServing(t, serve...)
				// What it goes on with it has told before it serves.
				lines, _ := said.there()
				told := strings.Join(lines, "\n")
				goesOn := strings.Contains(told, "it goes on")
				t.Log(told)
				if goesOn && !strings.Contains(told, "the import is published") {
					awaitLine(t, said, "the import is published")
				}
				if out := r.as("ann", 0, "import", "show", id); !strings.Contains(out, "done") {
					t.Errorf("resumed: %s", out)
				}
				r.until("ann", fmt.Sprintf(",%d,%[1]d,0,", all), "snapshot", filepath.Join(dir, "registry.icp"), "-o", "csv")
				if out := r.as("ann", 0, "doctor"); !strings.Contains(out, "agrees with itself") {
					t.Errorf("the doctor says %s", out)
				}
				if goesOn || t.Failed() { // else all was published when the signal came
					return
				}
			}
		})
	}
}

// publishing begins to publish an import of filings of so many names, and returns its
// number and an edge once the first of it is there.
func (r *remote) publishing(from, to int) (id string, edge *following) {
	r.Helper()
	list := "domain\n"
	for i := from; i < to; i++ {
		list += fmt.Sprintf("n%d.example\n", i)
	}
	path := filepath.Join(r.dir, "list.csv")
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		r.Fatal(err)
	}
	id = importID.FindString(r.as("ann", 3, "import", path, "--why", "a list"))
	text, err := os.ReadFile(filepath.Join(r.dir, "ann.txt"))
	if err != nil {
		r.Fatal(err)
	}
	secret := strings.TrimSpace(string(text))
	keys, err := feed.OpenKeys(filepath.Join(r.dir, "registry", publicName))
	if err != nil {
		r.Fatal(err)
	}
	replica, edge := followAt(r.T, r.url, secret, r.TempDir(), keys)
	edge.await("the registry", func() bool { return edge.Status().Connected })
	begun := replica.Revision()
	req, err := http.NewRequest("POST", r.url+"/v1/imports/"+id+"/publish", nil)
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		r.Fatalf("publish: %s", resp.Status)
	}
	edge.await("the first of it", func() bool { return replica.Revision().Compare(begun) > 0 })
	return id, edge
}

// TestRelayTokens: a relay makes the tokens of its edges while it runs; the registry
// of record is elsewhere.
func TestRelayTokens(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	upstream := filepath.Join(dir, "upstream.token")
	if err := os.WriteFile(upstream, []byte(o.tokens["relay"]), 0o600); err != nil {
		t.Fatal(err)
	}
	relay := filepath.Join(dir, "relay")
	token(t, dir, "root", "admin,read", "--dir", relay)
	_, url := startServe(t, "--dir", relay, "--listen", "127.0.0.1:0", "--upstream", o.url, "--upstream-key", o.keys, "--upstream-token", upstream)
	r := &remote{t, url, dir}
	if out := r.as("root", 0, "token", "create", "edge-9", "--scope", "edge"); !strings.Contains(out, "icp_") {
		t.Errorf("a token of the relay: %s", out)
	}
	if out := r.as("root", 1, "history", "a.example"); !strings.Contains(out, "nothing is served") {
		t.Errorf("the journal of a relay: %s", out)
	}
}

// TestEdgesElsewhere: an edge on another epoch is not "0 behind": the list names it, and
// doctor says what to do.
func TestEdgesElsewhere(t *testing.T) {
	dir := t.TempDir()
	where := []string{"--dir", filepath.Join(dir, "registry")}
	token(t, dir, "root", "admin,read", where...)
	token(t, dir, "old", "edge", where...)
	token(t, dir, "new", "edge", where...)
	_, url := startServe(t, append([]string{"--listen", "127.0.0.1:0"}, where...)...)
	r := &remote{t, url, dir}
	var out struct{ Revision registry.Revision }
	if err := json.Unmarshal([]byte(r.as("root", 0, "edges", "-o", "json")), &out); err != nil {
		t.Fatal(err)
	}
	for who, made := range map[string]int64{"old": -1, "new": 1} {
		at := out.Revision
		at.Epoch.Made += made
		secret, err := os.ReadFile(filepath.Join(dir, who+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if err := clientOf(t, url, strings.TrimSpace(string(secret))).Report(t.Context(), feed.EdgeReport{EdgeStatus: feed.EdgeStatus{Revision: at}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct{ form, text string }{{"table", "older epoch"}, {"table", "newer epoch"}, {"csv", ",older epoch,"}, {"json", `"epoch": "older"`}, {"json", `"epoch": "newer"`}} {
		if out := r.as("root", 3, "edges", "-o", want.form); !strings.Contains(out, want.text) {
			t.Errorf("edges -o %s prints\n%s; want %q", want.form, out, want.text)
		}
	}
	found := r.as("root", 3, "doctor")
	for _, want := range []string{"of old is on another epoch than the registry, older", "of new is on another epoch than the registry, newer", "accept-epoch " + out.Revision.Epoch.String(), "see its log"} {
		if !strings.Contains(found, want) {
			t.Errorf("doctor prints\n%s; want %q", found, want)
		}
	}
}
