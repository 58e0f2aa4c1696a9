package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// discardLog is where net/http writes of connections that fail.
var discardLog = stdlog.New(io.Discard, "", 0)

// admin answers for all open Edges of the process.
type admin struct{ addr netip.AddrPort }

// Admin returns the handler that tells what the open Edges of the process know:
//
//	/explain?host=…   a verdict with its reason, and what to do next
//	/revision         what the registries are at
//	/status           every block with its data
//	/sightings        what was blocked, and how often
//	/healthz          whether the process answers
//	/readyz           whether all Edges are ready
//	/debug/pprof/     profiles of the process, where an Edge asks for them
//
// It answers in JSON or plain text, as Accept says, in English or Chinese, as
// lang or Accept-Language says. It takes GET and HEAD, and answers only under a
// Host that is an IP address or localhost: a page of the web must not read it by
// a name that it has pointed here. It changes nothing and tells no secret. addr
// is where it is served.
func Admin(addr netip.AddrPort) http.Handler { return admin{addr} }

// page makes the answer to a request.
type page struct {
	words  [2]string // what it is, in English and Chinese
	params []string  // the parameters beside lang
	serve  func(ask) (answer, error)
}

// pages are by path. The table is filled by init since the index page reads it.
var pages map[string]page

func init() {
	pages = map[string]page{
		"/":          {[2]string{"this list", "本列表"}, nil, listPage},
		"/explain":   {[2]string{"a verdict, its reason and what to do next: ?host=NAME[&addr=ADDRESS…]", "判定、理由与下一步：?host=域名[&addr=地址…]"}, explainParams, explainPage},
		"/revision":  {[2]string{"what the registries are at", "备案数据的版本"}, nil, revisionPage},
		"/status":    {[2]string{"every block with its data", "各配置块及其数据的状态"}, nil, statusPage},
		"/sightings": {[2]string{"what was blocked, and how often (also CSV)", "被阻断的域名及次数（亦可为 CSV）"}, nil, sightingsPage},
		"/healthz":   {[2]string{"whether the process answers", "进程是否存活"}, nil, healthPage},
		"/readyz":    {[2]string{"whether all blocks are ready", "各配置块是否就绪"}, nil, readyPage},
	}
}

// ask is a request that was understood.
type ask struct {
	query    url.Values
	lang     explain.Lang
	form     string // media type of the answer
	profiles bool   // are served where it was asked
}

// answer is what a page says: a value for JSON and how to print it.
type answer struct {
	status int // 0 is 200
	value  any
	text   func(io.Writer) error
	csv    func(io.Writer) error // nil if it has no rows
}

// problem is an error that who asks can mend. Param is the parameter, "" if it is
// none.
type problem struct {
	status int
	param  string
	err    error
}

func (p *problem) Error() string {
	param := p.param
	switch {
	case param == "":
		return p.err.Error()
	case strings.ContainsFunc(param, unprintable):
		param = strconv.Quote(param) // or it might steer the terminal of who reads it
	}
	return param + ": " + p.err.Error()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func badParam(param string, err error) error {
	return &problem{http.StatusBadRequest, param, err}
}

// ServeHTTP implements http.Handler.
func (a admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept, Accept-Language")
	k := ask{form: accepted(r.Header.Values("Accept"), formText, formJSON), profiles: servesProfiles(a.addr)}
	ans, err := a.answer(r, &k)
	if isNotFound(err) && k.profiles && strings.HasPrefix(r.URL.Path, pprofPath) {
		if err = profile(w, r); err == nil {
			return
		}
	}
	if more, ok := beside.Load(r.URL.Path); ok && isNotFound(err) {
		more.(http.Handler).ServeHTTP(w, r)
		return
	}
	if err != nil {
		k.form = accepted(r.Header.Values("Accept"), formText, formJSON)
		ans = refusal(h, err)
	}
	write(w, r, k.form, ans)
}

// beside are the pages that the program adds, by path.
var beside sync.Map

// HandleMetrics has all admin listeners of the process answer under /metrics with
// the program's figures. Requests under a wrong Host do not come to it. It is called
// before any Edge is opened.
func HandleMetrics(h http.Handler) {
	beside.Store("/metrics", besideHandler{[2]string{"figures for Prometheus", "供 Prometheus 抓取的指标"}, h})
}

type besideHandler struct {
	words [2]string
	http.Handler
}

func isNotFound(err error) bool {
	p, ok := err.(*problem)
	return ok && p.status == http.StatusNotFound
}

// answer finds the page and asks it.
func (a admin) answer(r *http.Request, k *ask) (answer, error) {
	if !a.answersTo(r.Host) {
		return answer{}, &problem{http.StatusMisdirectedRequest, "", fmt.Errorf(
			"the Host %q is not answered; ask by an IP address or localhost", r.Host)}
	}
	p, ok := pages[r.URL.Path]
	switch {
	case !ok:
		return answer{}, &problem{http.StatusNotFound, "", fmt.Errorf("there is no %q; / lists what there is", r.URL.Path)}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return answer{}, &problem{http.StatusMethodNotAllowed, "", fmt.Errorf("method %q; expect GET or HEAD", r.Method)}
	case r.ContentLength != 0:
		return answer{}, &problem{http.StatusBadRequest, "", errors.New("the request has a body; expect none")}
	case len(r.URL.RawQuery) > maxQuery:
		return answer{}, &problem{http.StatusRequestURITooLong, "", fmt.Errorf("the query is longer than %d bytes", maxQuery)}
	}
	if err := k.parse(r, p.params); err != nil {
		return answer{}, err
	}
	if r.URL.Path == "/sightings" {
		k.form = accepted(r.Header.Values("Accept"), formText, formJSON, formCSV)
	}
	return p.serve(*k)
}

// maxQuery bounds the query: a host, some addresses and CNAMEs.
const maxQuery = 4 << 10

// repeated are the parameters of which there may be several.
var repeated = []string{"addr", "cname"}

// parse reads query and language. Parameters that are unknown, empty or doubled
// are refused: a misspelt one would change the verdict unseen.
func (k *ask) parse(r *http.Request, params []string) (err error) {
	if k.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return &problem{http.StatusBadRequest, "", fmt.Errorf("the query cannot be read: %w", err)}
	}
	params = append(slices.Clone(params), "lang")
	for name, values := range k.query {
		switch {
		case !slices.Contains(params, name):
			return badParam(name, fmt.Errorf("unknown parameter; expect %s", registry.AnyOf(params)))
		case len(values) > 1 && !slices.Contains(repeated, name):
			return badParam(name, fmt.Errorf("given %d times; expect one", len(values)))
		case slices.Contains(values, ""):
			return badParam(name, errors.New("has no value"))
		}
	}
	if s := k.query.Get("lang"); s != "" {
		if k.lang, err = explain.ParseLang(s); err != nil {
			return badParam("lang", err)
		}
		return nil
	}
	k.lang = spoken(r.Header.Values("Accept-Language"))
	return nil
}

// answersTo reports whether a Host is one by which the handler is asked.
func (a admin) answersTo(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") || host == a.addr.String() {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

// refusal is the answer to what was asked wrongly.
func refusal(h http.Header, err error) answer {
	p := &problem{http.StatusInternalServerError, "", err}
	errors.As(err, &p)
	if p.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	return answer{
		status: p.status,
		// The members of RFC 9457, and the parameter's name.
		value: struct {
			Title     string `json:"title"`
			Status    int    `json:"status"`
			Detail    string `json:"detail"`
			Parameter string `json:"parameter,omitempty"`
		}{http.StatusText(p.status), p.status, p.err.Error(), p.param},
		text: func(w io.Writer) error { _, err := fmt.Fprintln(w, p); return err },
	}
}

// write sends an answer in the form that was asked for.
func write(w http.ResponseWriter, r *http.Request, form string, ans answer) {
	var b bytes.Buffer
	var err error
	switch {
	case form == formJSON:
		err = writeJSON(&b, ans.value)
	case form == formCSV && ans.csv != nil:
		err = ans.csv(&b)
	default:
		form = formText
		err = ans.text(&b)
	}
	if err != nil {
		http.Error(w, "the answer could not be made", http.StatusInternalServerError)
		return
	}
	kind := form + "; charset=utf-8"
	if form == formJSON {
		kind = formJSON // UTF-8 by definition
		if ans.status >= 400 && ans.status != http.StatusServiceUnavailable {
			kind = "application/problem+json"
		}
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	if ans.status != 0 {
		w.WriteHeader(ans.status)
	}
	if r.Method != http.MethodHead {
		w.Write(b.Bytes())
	}
}
