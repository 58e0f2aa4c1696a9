package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

// operation is a way of asking.
type operation struct {
	name, title string
	bar         string // "" is none
	program     string // that is needed; "" is none
	// load asks for a while and returns how many questions were answered.
	load func(o options, g *asked) (float64, error)
}

// ops are in the order of the table.
var ops = []operation{
	{"spoe", "SPOE, one question at a time", "", "", spoe("tcp", 1)},
	{"spoe-16", "SPOE, 16 in a pipeline", "4", "", spoe("tcp", 16)},
	{"spoe-64", "SPOE, 64 in a pipeline", "4", "", spoe("tcp", 64)},
	{"spoe-unix-16", "SPOE over a unix socket, 16 in a pipeline", "4", "", spoe("unix", 16)},
	{"haproxy", "SPOE, asked by HAProxy for 64 clients", "4", "haproxy", haproxy(false)},
	{"haproxy-unix", "SPOE over a unix socket, asked by HAProxy for 64 clients", "4", "haproxy", haproxy(true)},
	{"nginx", "/auth/nginx, 64 connections", "8", "", http("tcp", "/auth/nginx", "204", false)},
	{"forward", "/auth/forward, 64 connections", "8", "", http("tcp", "/auth/forward", "200", false)},
	{"forward-unix", "/auth/forward over a unix socket, 64 connections", "8", "", http("unix", "/auth/forward", "200", false)},
	{"json", "GET /v1/check, 64 connections", "8", "", http("tcp", "/v1/check", "200", true)},
	{"grpc", "gRPC, one check at a time", "", "", rpc("tcp", 1)},
	{"grpc-16", "gRPC, 16 at a time on a connection", "30", "", rpc("tcp", 16)},
	{"grpc-unix-16", "gRPC over a unix socket, 16 at a time", "30", "", rpc("unix", 16)},
}

func opNames() (list []string) {
	for _, op := range ops {
		list = append(list, op.name)
	}
	return list
}

var (
	client = netip.MustParseAddr("198.51.100.7")
	server = netip.MustParseAddr("203.0.113.1")
)

// spoe asks over one connection, so many questions at a time.
func spoe(network string, depth int) func(options, *asked) (float64, error) {
	return func(o options, g *asked) (n float64, err error) {
		addr := g.spoe
		if network == "unix" {
			addr = g.spoeUnix
		}
		c, err := peer.Dial(network, addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		batches := make([][]byte, hosts/depth)
		for i, name := range g.names[:len(batches)*depth] {
			m := peer.Message("icp", "host", name, "sni", nil, "src", client, "dst", server)
			batches[i/depth] = append(batches[i/depth], peer.NotifyFrame(uint64(i), 1, m)...)
		}
		for end := time.Now().Add(o.run); time.Now().Before(end); {
			for _, b := range batches {
				if _, err := c.Write(b); err != nil {
					return 0, err
				}
				if err := readAcks(c, depth); err != nil {
					return 0, err
				}
				n += float64(depth)
			}
		}
		return n, nil
	}
}

// readAcks reads so many answers, and makes sure that they pass: all do, and so
// they are of one length but for the numbers of their frames.
func readAcks(c *peer.Client, n int) error {
	for range n {
		a, err := c.Next()
		if err != nil {
			return err
		}
		if a.Kind != peer.Ack || a.Items["block"] != "false" {
			return fmt.Errorf("answered %v", a)
		}
	}
	return nil
}

// rpc asks over one connection of gRPC, so many checks at a time.
func rpc(network string, depth int) func(options, *asked) (float64, error) {
	return func(o options, g *asked) (float64, error) {
		target := "passthrough:///" + g.grpc
		if network == "unix" {
			target = "unix:" + g.grpcUnix
		}
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		c := authv3.NewAuthorizationClient(conn)
		var (
			n      atomic.Int64
			failed atomic.Pointer[error]
			wait   sync.WaitGroup
		)
		end := time.Now().Add(o.run)
		for k := range depth {
			wait.Go(func() {
				for i := k; time.Now().Before(end) && failed.Load() == nil; i++ {
					r, err := c.Check(context.Background(), check(g.names[i%len(g.names)]))
					if err == nil && r.GetStatus().GetCode() != int32(codes.OK) {
						err = errors.New(r.String())
					}
					if err != nil {
						failed.Store(&err)
						return
					}
					n.Add(1)
				}
			})
		}
		wait.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(n.Load()), nil
	}
}

// check is what Envoy sends of a browser's request.
func check(host string) *authv3.CheckRequest {
	at := func(addr string, port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: addr, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}}}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: at("198.51.100.7", 51234), Destination: at("203.0.113.1", 443),
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1234567890123456789", Method: "GET", Host: host, Path: "/index.html", Scheme: "https", Protocol: "HTTP/1.1", Size: -1,
			Headers: map[string]string{
				":authority": host, ":method": "GET", ":path": "/index.html", ":scheme": "https",
				"accept":          "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
				"accept-encoding": "gzip, deflate", "accept-language": "zh-CN,zh;q=0.9,en;q=0.8",
				"cookie": "session=0123456789abcdef0123456789abcdef", "upgrade-insecure-requests": "1",
				"user-agent":        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
				"x-forwarded-proto": "https", "x-request-id": "00000000-0000-4000-8000-000000000000",
			},
		}},
		TlsSession: &authv3.AttributeContext_TLSSession{Sni: host},
	}}
}
