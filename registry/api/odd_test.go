package api_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// schema is as much of a JSON schema as makes a value of it.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Format     string             `json:"format"`
	Enum       []any              `json:"enum"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
}

// describedRoute is a route of the service's description.
type describedRoute struct {
	Scope      string `json:"x-scope"`
	Parameters []struct {
		Name, In string
		Schema   schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
}

// value makes a value of a schema in which the texts, other than those of a list of
// words, are one: dates are at the end of the years that have a word.
func (x *schema) value(all map[string]*schema, text, when string, deep int) any {
	if x == nil || deep > 6 {
		return nil
	}
	if x.Ref != "" {
		return all[x.Ref[strings.LastIndexByte(x.Ref, '/')+1:]].value(all, text, when, deep+1)
	}
	kind, _ := x.Type.(string)
	if list, ok := x.Type.([]any); ok {
		kind, _ = list[0].(string)
	}
	switch {
	case len(x.Enum) > 0:
		return x.Enum[0]
	case strings.HasPrefix(x.Format, "date"):
		return when
	case kind == "object":
		out := map[string]any{}
		for name, p := range x.Properties {
			if name != "$schema" {
				out[name] = p.value(all, text, when, deep+1)
			}
		}
		return out
	case kind == "array":
		return []any{x.Items.value(all, text, when, deep+1)}
	case kind == "integer" || kind == "number":
		return 1
	case kind == "boolean":
		return false
	}
	return text
}

// TestOddTexts: texts that no database takes, or nobody sees, and the last of all times,
// wherever a request may hold them, are refused or taken, and are no failure of the
// service.
func TestOddTexts(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var doc struct {
			Paths      map[string]map[string]describedRoute
			Components struct{ Schemas map[string]*schema }
		}
		_, _, text := w.ask(t, "GET", "/openapi.json", w.bearer("read"), "")
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			for method, route := range doc.Paths[path] {
				for _, odd := range []string{"a\x00b", "\x1b[2J", "a\nb", "\u202egpj.exe", strings.Repeat("長", 3000), "'; DROP TABLE site; --", "%", ""} {
					for _, when := range []string{"9999-12-31T23:59:59-12:00", "0000-01-01T00:00:00+14:00"} {
						at, queries := path, []url.Values{{}} // all of them, and each by itself
						for _, p := range route.Parameters {
							switch p.In {
							case "path":
								at = strings.Replace(at, "{"+p.Name+"}", strings.ReplaceAll(url.PathEscape(odd), ".", "%2E"), 1)
							case "query":
								value := odd
								if word, ok := p.Schema.value(doc.Components.Schemas, odd, when, 0).(string); ok {
									value = word
								}
								queries[0].Set(p.Name, value)
								queries = append(queries, url.Values{p.Name: {value}})
							}
						}
						body := ""
						if c, ok := route.RequestBody.Content["application/json"]; ok {
							b, err := json.Marshal(c.Schema.value(doc.Components.Schemas, odd, when, 0))
							if err != nil {
								t.Fatal(err)
							}
							body = string(b)
						}
						for _, q := range queries {
							asked++
							if status, _, text := w.ask(t, strings.ToUpper(method), at+"?"+q.Encode(), w.bearer(route.Scope), body); status >= 500 {
								t.Errorf("%s %.200s?%.200s with %.300s: %d %s", method, at, q.Encode(), body, status, text)
							}
						}
					}
				}
			}
		}
		t.Log(asked, "requests")
		if status, _, text := w.ask(t, "GET", "/v1/check", w.bearer("admin"), ""); status != 200 || !strings.Contains(text, `"wrong":[]`) {
			t.Errorf("afterwards: %d %s", status, text)
		}
	})
}
