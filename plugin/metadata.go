package icp

import (
	"context"
	"strings"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"
)

// record is what the metadata of one query are read from, after the answer was
// written. Before that, and for what is not inspected, its values are empty.
type record struct {
	finding
	question string // empty until there is a finding
}

// recordKey is the context key of a query's *record.
type recordKey struct{}

// Metadata implements metadata.Provider. It is called for every query of a
// server with the metadata plugin, so it only prepares the place where
// inspection leaves what it found.
func (p *ICP) Metadata(ctx context.Context, _ request.Request) context.Context {
	r := new(record)
	for label, f := range map[string]metadata.Func{
		"icp/verdict": r.verdict, "icp/reason": r.reason, "icp/name": r.named,
		"icp/filed": r.filed, "icp/product": r.productWord, "icp/place": r.placeWord,
	} {
		metadata.SetValueFunc(ctx, label, f)
	}
	return context.WithValue(ctx, recordKey{}, r)
}

// told returns s once there is a finding.
func (r *record) told(s func() string) string {
	if r.question == "" {
		return ""
	}
	return s()
}

func (r *record) verdict() string     { return r.told(r.finding.Verdict.String) }
func (r *record) reason() string      { return r.told(r.finding.Reason.String) }
func (r *record) placeWord() string   { return r.told(r.finding.place.String) }
func (r *record) productWord() string { return r.told(r.finding.product.String) }

// named is the name that was judged; of an answer without an address in the
// mainland, the one that was asked for.
func (r *record) named() string {
	if r.name.IsZero() {
		return strings.ToLower(strings.TrimSuffix(r.question, "."))
	}
	return r.name.String()
}

// filed is the name under which the deciding filing was made.
func (r *record) filed() string { return r.finding.filed().String() }
