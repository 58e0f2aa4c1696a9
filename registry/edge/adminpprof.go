package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"time"
)

// pprofPath begins the paths of profiles, where go tool pprof looks for them.
const pprofPath = "/debug/pprof/"

// maxProfile bounds how long a profile may be taken: as long as anybody waits for
// one, while it slows the process down.
const maxProfile = 5 * time.Minute

// servesProfiles reports whether an Edge that is open has asked for profiles at an
// admin address.
func servesProfiles(addr netip.AddrPort) bool {
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	l := listeners.at[addr]
	return l != nil && l.profiles > 0
}

// profiles answers under pprofPath.
var profiles = func() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(pprofPath, pprof.Index)
	mux.HandleFunc(pprofPath+"cmdline", pprof.Cmdline)
	mux.HandleFunc(pprofPath+"profile", pprof.Profile)
	mux.HandleFunc(pprofPath+"symbol", pprof.Symbol)
	mux.HandleFunc(pprofPath+"trace", pprof.Trace)
	return mux
}()

// profile has a profile taken, or says why not.
func profile(w http.ResponseWriter, r *http.Request) error {
	seconds := 0
	if s := r.URL.Query().Get("seconds"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > int(maxProfile/time.Second) {
			return badParam("seconds", fmt.Errorf("%q; expect a number up to %d", s, int(maxProfile/time.Second)))
		}
		seconds = n
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return &problem{http.StatusMethodNotAllowed, "", fmt.Errorf("method %q; expect GET or HEAD", r.Method)}
	case fromAnotherSite(r):
		return &problem{http.StatusForbidden, "", errors.New("the page of another site asks; it could slow the process down unseen")}
	}
	// Thirty seconds are what pprof takes for a profile of the processor that names
	// none; the listener's own limits are shorter.
	const unnamed = 30
	end := time.Now().Add(time.Duration(max(seconds, unnamed))*time.Second + adminTimeout)
	c := http.NewResponseController(w)
	_, _ = c.SetReadDeadline(end), c.SetWriteDeadline(end)
	// It looks at the server's limit itself, which is not in force here.
	profiles.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, nil)))
	return nil
}

// fromAnotherSite reports whether a browser asks for the page of another site.
func fromAnotherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}
