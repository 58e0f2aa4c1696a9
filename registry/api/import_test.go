package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("ICP_API_CHILD") != "" {
		killedService()
		return
	}
	code := m.Run()
	storetest.Stop()
	os.Exit(code)
}

// onEach runs a test on SQLite and on PostgreSQL.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorldOn(t, storetest.Database(t, ""))) })
}

// sent is an upload of files, each NAME CONTENT.
func sent(files ...string) (kind string, body []byte) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		part, _ := m.CreateFormFile("file", files[i])
		io.WriteString(part, files[i+1])
	}
	m.Close()
	return m.FormDataContentType(), b.Bytes()
}

// upload stages an import and returns the status and the answer.
func (w *world) upload(t *testing.T, token, id, query string, stream bool, files ...string) (int, string) {
	t.Helper()
	kind, body := sent(files...)
	req, err := http.NewRequest("PUT", w.url+api.ImportsPath+"/"+id+"?"+query, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = w.bearer(token)
	req.Header.Set("Content-Type", kind)
	if stream {
		req.Header.Set("Accept", api.StreamType)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// staged is upload for one that is to be staged.
func (w *world) staged(t *testing.T, id, query string, files ...string) (i api.Import) {
	t.Helper()
	status, text := w.upload(t, "import", id, "why=a+test&"+query, false, files...)
	if status != 200 {
		t.Fatalf("upload of %s: %d %s", id, status, text)
	}
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// published publishes an import and waits until the registry has done it.
func (w *world) published(t *testing.T, id string) api.Import {
	t.Helper()
	rev, err := w.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.call(t, "import", "POST", api.ImportsPath+"/"+id+"/publish", nil, nil, 202)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		var i api.Import
		w.call(t, "read", "GET", api.ImportsPath+"/"+id, nil, &i, 200)
		if i.State == store.ImportDone || i.Error != "" {
			return i
		}
		if rev, err = w.store.Wait(ctx, rev); err != nil {
			t.Fatalf("%+v: %v", i, err)
		}
	}
}

// table writes names as CSV.
func table(names ...string) string {
	return "domain,status\n" + strings.Join(names, ",normal\n") + ",normal\n"
}

func many(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("n%d.test", i))
	}
	return names
}

// TestImport: counts, refused rows as a file, the same request again, publishing,
// undoing, on both databases.
func TestImport(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const id = "00000000000000a1"
		dry := w.staged(t, id, "dry_run=true", "x.csv", table("b.test", "c.test", "com.cn", "a.test"))
		if !dry.DryRun || dry.Counts.Added != 2 || dry.Counts.Unchanged+dry.Counts.Changed != 1 || dry.Report.Refused != 1 || dry.Report.Files[0].Name != "x.csv" {
			t.Errorf("counted: %+v %+v", dry.Counts, dry.Report)
		}
		w.call(t, "read", "GET", api.ImportsPath+"/"+id, nil, nil, 404)
		i := w.staged(t, id, "source=the+authority", "x.csv", table("b.test", "com.cn"), "../y\\z.csv", table("c.test"))
		if i.State != store.ImportStaged || i.Counts.Added != 2 || i.Options.Source != "the authority" || i.By.Owner != "ann" || i.Report.Files[1].Name != "z.csv" {
			t.Errorf("staged: %+v", i)
		}
		if text := w.call(t, "read", "GET", api.ImportsPath+"/"+id+"/refused", nil, nil, 200); !strings.Contains(text, "x.csv,3,") || !strings.Contains(text, "com.cn") || !strings.HasPrefix(text, "file,line,") {
			t.Errorf("refused rows: %s", text)
		}
		if again := w.staged(t, id, "", "x.csv", table("q.test")); again.Counts.Added != 2 || again.Report == nil {
			t.Errorf("the same id again: %+v", again)
		}
		if f := w.filings(t, "read", "b.test"); len(f) != 0 {
			t.Errorf("before it is published: %+v", f)
		}
		if i := w.published(t, id); i.State != store.ImportDone || i.Error != "" {
			t.Errorf("published: %+v", i)
		}
		w.published(t, id) // once more is nothing
		if f := w.filings(t, "read", "b.test"); len(f) != 1 {
			t.Errorf("published: %+v", f)
		}
		var undo, again api.Import
		why := map[string]string{"why": "the wrong file"}
		w.call(t, "import", "POST", api.ImportsPath+"/"+id+"/undo", why, &undo, 200)
		w.call(t, "import", "POST", api.ImportsPath+"/"+id+"/undo", why, &again, 200)
		if undo.Undoes != id || undo.ID != again.ID || undo.Counts.Cancelled != 2 {
			t.Errorf("undo: %+v, and again %+v", undo, again)
		}
		w.published(t, undo.ID)
		if f := w.filings(t, "read", "b.test"); len(f) != 0 {
			t.Errorf("undone: %+v", f)
		}
		var list api.Imports
		if w.call(t, "read", "GET", api.ImportsPath, nil, &list, 200); len(list.Imports) != 2 {
			t.Errorf("imports: %+v", list)
		}
	})
}

// TestPublishOneAfterAnother: one import is published at a time; one that is done keeps
// the next from nothing, though the service is still at its end.
func TestPublishOneAfterAnother(t *testing.T) {
	w := newWorld(t)
	const first, second = "00000000000000e1", "00000000000000e2"
	w.staged(t, first, "", "x.csv", table("b.test"))
	w.staged(t, second, "", "y.csv", table("c.test"))
	end := w.Publishing(t, first)
	publish := func() int {
		status, _, _ := w.ask(t, "POST", api.ImportsPath+"/"+second+"/publish", w.bearer("import"), "")
		return status
	}
	if got := publish(); got != http.StatusConflict {
		t.Errorf("while another is being published: %d; want 409", got)
	}
	if _, err := w.store.Publish(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 1)
	go func() { got <- publish() }()
	select { // it waits; where it does not, it is answered in far less time
	case got := <-got:
		t.Errorf("when the other is done and the service at its end: %d; want it to wait", got)
		return
	case <-time.After(200 * time.Millisecond):
	}
	end()
	if got := <-got; got != http.StatusAccepted {
		t.Errorf("when the other is done: %d; want 202", got)
	}
}

// TestImportApproval: what changes too much waits for another owner, and cannot be
// published without.
func TestImportApproval(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		_, secret, err := w.store.NewToken(t.Context(), by, store.Token{Owner: "bob", Scopes: []string{store.ScopeApprove, store.ScopeRead}})
		if err != nil {
			t.Fatal(err)
		}
		w.secret["bob"] = secret
		w.staged(t, "00000000000000b1", "", "x.csv", table(many(0, 30)...))
		w.published(t, "00000000000000b1")
		const id = "00000000000000b2"
		if status, text := w.upload(t, "import", id, "why=x&complete=true", false, "x.csv", table("n1.test")); status != 422 || !strings.Contains(text, "whether the file is whole") {
			t.Errorf("a file that is too short: %d %s", status, text)
		}
		const id2 = "00000000000000b3"
		i := w.staged(t, id2, "complete=true&allow_shrink=true", "x.csv", table("n1.test", "n2.test"))
		if i.State != store.ImportWaiting || i.Counts.Cancelled != 29 {
			t.Errorf("staged: %+v", i)
		}
		if text := w.call(t, "import", "POST", api.ImportsPath+"/"+id2+"/publish", nil, nil, 409); !strings.Contains(text, "second person") {
			t.Errorf("published without a word: %s", text)
		}
		why := map[string]string{"why": "I looked at it"}
		if text := w.call(t, "approve", "POST", api.ImportsPath+"/"+id2+"/approve", why, nil, 422); !strings.Contains(text, "another owner") {
			t.Errorf("approved by the same owner: %s", text)
		}
		for range 2 {
			w.call(t, "bob", "POST", api.ImportsPath+"/"+id2+"/approve", why, &i, 200)
		}
		if i.State != store.ImportStaged || i.ConfirmedBy.Owner != "bob" {
			t.Errorf("approved: %+v", i)
		}
		w.published(t, id2)
		if f := w.filings(t, "read", "n9.test"); len(f) != 1 || *f[0].Status != "cancelled" {
			t.Errorf("cancelled: %+v", f)
		}
		const id3 = "00000000000000b4"
		w.staged(t, id3, "", "x.csv", table("z.test"))
		for range 2 {
			w.call(t, "import", "POST", api.ImportsPath+"/"+id3+"/drop", why, &i, 200)
		}
		if i.State != store.ImportDropped {
			t.Errorf("dropped: %+v", i)
		}
		w.call(t, "import", "POST", api.ImportsPath+"/"+id3+"/publish", nil, nil, 409)
	})
}

// TestImportStream: progress and the end come as lines.
func TestImportStream(t *testing.T) {
	w := newWorld(t)
	lines := func(status int, text string) (last api.ImportLine) {
		t.Helper()
		if status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
			last = api.ImportLine{}
			if err := d.Decode(&last); err != nil {
				t.Fatal(err)
			}
		}
		return last
	}
	if l := lines(w.upload(t, "import", "00000000000000c1", "why=x", true, "x.csv", table(many(0, 100)...))); l.Import == nil || l.Import.Counts.Added != 100 {
		t.Errorf("the last line: %+v", l)
	}
	if l := lines(w.upload(t, "import", "00000000000000c2", "why=x&complete=true", true, "x.csv", "domain\n")); l.Problem == nil || l.Problem.Status != 422 || !strings.Contains(l.Problem.Detail, "no filing") {
		t.Errorf("the last line: %+v", l)
	}
	if status, text := w.upload(t, "import", "00000000000000c3", "", true, "x.csv", "domain\n"); status != 422 {
		t.Errorf("without a reason: %d %s", status, text)
	}
}

// TestOneAtATime: of what takes much memory there is one at a time, of its kind.
func TestOneAtATime(t *testing.T) {
	w := newWorld(t)
	ends := map[string]func(){}
	for _, what := range []string{"import", "backup", "snapshot"} {
		release, err := w.Take(what)
		if err != nil {
			t.Fatal(err)
		}
		ends[what] = release
	}
	ask := func(what string) int {
		switch what {
		case "import":
			status, _ := w.upload(t, "import", "00000000000000f1", "why=x", false, "x.csv", table("b.test"))
			return status
		case "backup":
			status, _, _ := w.ask(t, "GET", api.BackupPath, w.bearer("admin"), "")
			return status
		}
		status, _, _ := w.ask(t, "GET", api.RegistryPath, w.bearer("feed"), "")
		return status
	}
	for what, end := range ends {
		if got := ask(what); got != http.StatusTooManyRequests {
			t.Errorf("a second %s: %d", what, got)
		}
		end()
		if got := ask(what); got != http.StatusOK {
			t.Errorf("a %s afterwards: %d", what, got)
		}
	}
}

// TestImportRefused: what is wrong with an upload is said, and nothing is staged.
func TestImportRefused(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		id, query string
		files     []string
		status    int
		want      string
	}{
		"an id":             {"x1", "why=x", []string{"x.csv", table("b.test")}, 422, "hexadecimal"},
		"no reason":         {"0000000000000d01", "", []string{"x.csv", table("b.test")}, 422, "why"},
		"an unknown word":   {"0000000000000d02", "why=x&speed=2", []string{"x.csv", table("b.test")}, 422, "speed"},
		"twice":             {"0000000000000d03", "why=x&why=y", []string{"x.csv", table("b.test")}, 422, "twice"},
		"no truth":          {"0000000000000d04", "why=x&complete=maybe", []string{"x.csv", table("b.test")}, 422, "maybe"},
		"a part":            {"0000000000000d05", "why=x&part=half", []string{"x.csv", table("b.test")}, 422, "half"},
		"a form":            {"0000000000000d06", "why=x&format=xls", []string{"x.csv", table("b.test")}, 422, "xls"},
		"an encoding":       {"0000000000000d07", "why=x&encoding=ebcdic", []string{"x.csv", table("b.test")}, 422, "ebcdic"},
		"accesses of whom":  {"0000000000000d08", "why=x&part=accesses&complete=true", []string{"x.csv", table("b.test")}, 422, "name it"},
		"no file":           {"0000000000000d09", "why=x", nil, 422, "no file"},
		"no table":          {"0000000000000d0a", "why=x", []string{"x.csv", "colour\nred\n"}, 422, "no column names the domain"},
		"a program":         {"0000000000000d0b", "why=x", []string{"x.csv", "\x7fELF\x00\x00\x00"}, 422, "x.csv"},
		"strict":            {"0000000000000d0c", "why=x&strict=true", []string{"x.csv", table("b.test", "com.cn")}, 422, "com.cn"},
		"empty and whole":   {"0000000000000d0d", "why=x&complete=true", []string{"x.csv", "domain\n"}, 422, "no filing"},
		"nothing to remove": {"0000000000000d0e", "why=x&remove=true", []string{"x.csv", table("b.test")}, 422, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := w.upload(t, "import", tt.id, tt.query, false, tt.files...)
			if status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("%d %s; want %d %q", status, text, tt.status, tt.want)
			}
		})
	}
	w.call(t, "import", "PUT", api.ImportsPath+"/00000000000000d1?why=x", map[string]string{}, nil, 415)
	for _, id := range []string{"00000000000000ff", "x"} {
		w.call(t, "read", "GET", api.ImportsPath+"/"+id, nil, nil, 404)
		w.call(t, "read", "GET", api.ImportsPath+"/"+id+"/refused", nil, nil, 404)
		for _, verb := range []string{"approve", "publish", "undo", "drop"} {
			w.call(t, map[string]string{"approve": "approve"}[verb]+map[bool]string{true: "", false: "import"}[verb == "approve"], "POST", api.ImportsPath+"/"+id+"/"+verb, map[string]string{"why": "x"}, nil, 404)
		}
	}
	// An upload that breaks off leaves nothing.
	kind, body := sent("x.csv", table(many(0, 1000)...))
	req, err := http.NewRequest("PUT", w.url+api.ImportsPath+"/00000000000000d9?why=x", io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = w.bearer("import")
	req.Header.Set("Content-Type", kind)
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Errorf("an upload that broke off: %s", resp.Status)
	}
	w.Close()
	w.call(t, "read", "GET", api.ImportsPath+"/00000000000000d9", nil, nil, 404)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("the cable is out") }
