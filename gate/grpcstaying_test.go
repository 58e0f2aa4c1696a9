package gate_test

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// TestGRPCFollows: a registry and a configuration that are read anew count for
// whoever is connected, a restart loses nothing, and neither does the end.
func TestGRPCFollows(t *testing.T) {
	addr := freePort(t)
	conf := func(more string) string {
		return "grpc://" + addr + " {\nicp {\nregistry registry.icp\nprovider aliyun\n" + more + "\n}\nserves mainland\npeers 127.0.0.1\n}"
	}
	p := start(t, 1, conf(""), nil)
	c := dialGRPC(t, addr)
	ask := func(host string) string {
		r, err := checks(t, c, httpCheck(host))
		if err != nil {
			t.Fatal(err)
		}
		return checked(t, r)
	}
	if got := ask("unfiled.example"); got != "denied block unfiled 403" {
		t.Errorf("at first: %s", got)
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if r, err := checks(t, c, httpCheck("filed.example")); err != nil || checked(t, r) != "ok pass accessed" {
					t.Errorf("check %d while the configuration changes: %v, %v", i, r, err)
					return
				}
			}
		})
	}
	for i := range 5 {
		p.write(t, conf(map[bool]string{true: "mode monitor"}[i%2 == 0]))
		_ = p.cmd.Process.Signal(syscall.SIGHUP)
		p.log.await(t, fmt.Sprintf(`(?s)(?:configuration read anew.*?){%d}`, i+1))
	}
	eventually(t, "the configuration read anew", func() bool { return ask("unfiled.example") == "ok block unfiled" })
	p.writeRegistry(t, 2, filing("filed.example", "aliyun"), filing("unfiled.example", "aliyun"))
	eventually(t, "the new registry", func() bool { return ask("unfiled.example") == "ok pass accessed" })
	_ = p.cmd.Process.Signal(sigHandOver)
	p.log.await(t, "msg=ended")
	close(stop)
	all.Wait()
	if got := ask("filed.example"); got != "ok pass accessed" {
		t.Errorf("after the restart: %s", got)
	}
}

// TestGRPCEnds: at the end of the process, connections that are idle are told and
// do not keep it.
func TestGRPCEnds(t *testing.T) {
	p := start(t, 1, "grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil)
	c := dialGRPC(t, p.addr(t, "grpc:"))
	if _, err := checks(t, c, httpCheck("filed.example")); err != nil {
		t.Fatal(err)
	}
	watch, err := healthv1.NewHealthClient(c).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := watch.Recv(); err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", h, err)
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	if h, err := watch.Recv(); err != nil || h.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health at the end: %v, %v", h, err)
	}
	c.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
