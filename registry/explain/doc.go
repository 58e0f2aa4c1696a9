// Package explain puts verdicts into words, in English and Chinese: which rule
// decided, by which filing, with the reference of the regulation, and what to do
// next.
//
//	v := registry.Decide(q, c)
//	e := explain.Explain(explain.Chinese, explain.Facts{Query: q, Verdict: v, Coverage: c})
//	json.NewEncoder(w).Encode(e) // or
//	e.WriteText(w)
//
// It looks nothing up and decides nothing: the facts come in. The words of JSON
// are those of the rule book and the same in both languages.
package explain
