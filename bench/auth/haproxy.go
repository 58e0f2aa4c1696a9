package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// haproxyConf asks for every request and answers it itself: what the proxy would
// do with it costs the gate nothing.
const haproxyConf = `
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend web
    bind %[1]s
    filter spoe engine icp config %[2]s
    http-request send-spoe-group icp icp-http
    http-request return status 500 unless { var(txn.icp.verdict) -m str pass }
    http-request return status 200 content-type text/plain string ok
backend agents
    mode tcp
    server gate %[3]s
`

const spoeConf = `
[icp]
spoe-agent icp
    groups icp-http
    option var-prefix icp
    option set-on-error error
    timeout hello 1s
    timeout idle 1m
    timeout processing 1s
    use-backend agents
spoe-message http
    args host=req.fhdr(host) sni=ssl_fc_sni src=src dst=dst
spoe-group icp-http
    messages http
`

var (
	wrkDone   = regexp.MustCompile(`(\d+) requests in `)
	wrkFailed = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

// haproxy has HAProxy ask, on the core of the load, for clients that wrk is.
func haproxy(unix bool) func(options, *asked) (float64, error) {
	return func(o options, g *asked) (float64, error) {
		web, agent := freeAddr(), g.spoe
		if unix {
			agent = "unix@" + g.spoeUnix
		}
		conf, spoe, script := filepath.Join(g.dir, "haproxy.cfg"), filepath.Join(g.dir, "spoe.cfg"), filepath.Join(g.dir, "names.lua")
		for path, text := range map[string]string{conf: fmt.Sprintf(haproxyConf, web, spoe, agent), spoe: spoeConf, script: wrkScript(g.names)} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return 0, err
			}
		}
		cmd := exec.Command("haproxy", "-db", "-f", conf)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		if err := await(web); err != nil {
			return 0, fmt.Errorf("haproxy: %w: %s", err, &said)
		}
		out, err := exec.Command("wrk", "-t1", "-c64", "-d", fmt.Sprintf("%ds", max(1, int(o.run/time.Second))), "-s", script, "http://"+web+"/").CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("wrk: %w: %s", err, out)
		}
		if bad := wrkFailed.Find(out); bad != nil {
			return 0, fmt.Errorf("wrk: %s", bad)
		}
		done := wrkDone.FindSubmatch(out)
		if done == nil {
			return 0, fmt.Errorf("wrk says nothing of requests:\n%s", out)
		}
		return strconv.ParseFloat(string(done[1]), 64)
	}
}

// wrkScript has wrk ask for one name after the other.
func wrkScript(names []string) string {
	var b bytes.Buffer
	b.WriteString("local names = {\n")
	for _, name := range names {
		fmt.Fprintf(&b, "%q,\n", name)
	}
	b.WriteString("}\nlocal i = 0\nrequest = function()\n  i = i % #names + 1\n  return wrk.format(\"GET\", \"/\", {Host = names[i]})\nend\n")
	return b.String()
}
