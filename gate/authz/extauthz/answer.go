package extauthz

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/registry"
)

// The headers that a web server behind Envoy sees of a request that passes. They
// replace what a client has sent under these names.
const (
	verdictHeader = "x-icp-verdict"
	reasonHeader  = "x-icp-reason"
)

// passes are the answers to whom is not refused, by verdict and reason: there are
// few, and to make one anew would take more than all the rest. They are never
// changed.
type passes map[passKey]reply

type passKey struct {
	blocks bool
	reason registry.Reason
	unread bool
}

func newPasses() passes {
	all := passes{}
	for _, reason := range registry.Reasons() {
		for _, blocks := range []bool{false, true} {
			for _, unread := range []bool{false, true} {
				k := passKey{blocks, reason, unread}
				all[k], _ = proto.Marshal(k.answer()) // words of ours always have a form
			}
		}
	}
	return all
}

func (p passes) of(v registry.Verdict, unread bool) reply {
	return p[passKey{v.Block, v.Reason, unread}]
}

func (k passKey) answer() *authv3.CheckResponse {
	v := registry.Verdict{Block: k.blocks, Reason: k.reason}
	r := &authv3.CheckResponse{Status: &rpc.Status{Code: int32(codes.OK)}, DynamicMetadata: metadata(v, "")}
	if !k.unread {
		r.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: []*corev3.HeaderValueOption{option(verdictHeader, v.String()), option(reasonHeader, v.Reason.String())},
		}}
	}
	return r
}

// denied is the answer to whom is refused. Of a connection whose requests nobody
// reads there is nobody to show anything: Envoy closes it.
func denied(a authz.Answer, p *authz.Page) *authv3.CheckResponse {
	r := &authv3.CheckResponse{
		Status:          &rpc.Status{Code: int32(codes.PermissionDenied), Message: a.Verdict.Reason.String()},
		DynamicMetadata: metadata(a.Verdict, a.ID),
	}
	if p == nil {
		return r
	}
	d := &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(p.Status)}, Body: valid(string(p.Body))}
	for _, f := range p.Fields {
		d.Headers = append(d.Headers, option(strings.ToLower(f[0]), valid(f[1])))
	}
	r.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: d}
	return r
}

// valid takes out what no string of protobuf may hold: an answer that cannot be
// sent would be none, and Envoy might let the client pass.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func option(key, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: key, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// metadata is what Envoy's own logs and filters can show of an answer.
func metadata(v registry.Verdict, id string) *structpb.Struct {
	fields := map[string]*structpb.Value{"verdict": structpb.NewStringValue(v.String()), "reason": structpb.NewStringValue(v.Reason.String())}
	if id != "" {
		fields["id"] = structpb.NewStringValue(id)
	}
	return &structpb.Struct{Fields: fields}
}
