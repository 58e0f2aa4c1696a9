package main

import (
	"bufio"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

// baselineCommand has this program be the naive proxy: net/http/httputil with a
// map in front.
const baselineCommand = "reverse-proxy"

// baseline serves on an address, for an origin, the names that a file lists.
func baseline(listen, origin, file string) error {
	filed, err := readNames(file)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	to := &url.URL{Scheme: "http", Host: origin}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}
	return http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !filed[strings.ToLower(r.Host)] {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

func readNames(file string) (map[string]bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, lines := map[string]bool{}, bufio.NewScanner(f)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		names[name] = true
	}
	return names, lines.Err()
}
