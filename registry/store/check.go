package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// check is a question whose answer must be 0, and what is wrong if it is not.
type check struct{ query, wrong string }

var checks = []check{
	{"SELECT (SELECT rev - base FROM meta) - (SELECT count(DISTINCT rev) FROM change WHERE rev > (SELECT base FROM meta))", "the log lacks revisions"},
	{"SELECT (SELECT rev FROM meta) - (SELECT coalesce(max(rev), (SELECT rev FROM meta)) FROM change)", "the log does not end at the newest revision"},
	{"SELECT count(*) FROM change c WHERE NOT EXISTS (SELECT 1 FROM revision r WHERE r.rev = c.rev)", "changes of no revision"},
	{"SELECT (SELECT filings FROM meta) - (SELECT count(*) FROM site)", "another number of filings than is told"},
	{"SELECT count(*) FROM site s WHERE s.kind <> 4 AND NOT EXISTS (SELECT 1 FROM domain d WHERE d.site_id = s.id)", "filings without a domain"},
	{"SELECT count(*) FROM domain d WHERE NOT EXISTS (SELECT 1 FROM site s WHERE s.id = d.site_id)", "domains of no filing"},
	{"SELECT count(*) FROM access a WHERE NOT EXISTS (SELECT 1 FROM site s WHERE s.id = a.site_id)", "accesses of no filing"},
	{"SELECT count(*) FROM site s WHERE s.rev > (SELECT rev FROM meta)", "filings of revisions to come"},
	{"SELECT count(*) FROM staged t WHERE NOT EXISTS (SELECT 1 FROM import i WHERE i.id = t.import_id AND i.state IN ('staging', 'staged', 'waiting', 'publishing'))", "staged chunks of no import"},
}

// Check looks whether the registry agrees with itself, which takes a while, and
// returns what does not; nothing if it does.
func (s *Store) Check(ctx context.Context) (wrong []string, err error) {
	for _, c := range slices.Concat(checks, untold) {
		var n int64
		if err := s.r.QueryRowContext(ctx, c.query).Scan(&n); err != nil {
			return wrong, fmt.Errorf("%s: %w", c.wrong, err)
		}
		if n != 0 {
			wrong = append(wrong, fmt.Sprintf("%s (%d)", c.wrong, n))
		}
	}
	unread, err := s.checkEntries(ctx)
	if err != nil {
		return wrong, err
	}
	wrong = append(wrong, unread...)
	more, err := s.e.sound(ctx, s.r)
	return append(wrong, more...), err
}

// checkEntries looks for entries that edges cannot read: they keep edges from the
// whole list. New ones are refused.
func (s *Store) checkEntries(ctx context.Context) (wrong []string, err error) {
	for list := registry.ListExemptions; list < listEnd && s.o.CheckEntry != nil; list++ {
		n, first := 0, ""
		err := s.entries(ctx, s.r, list, func(x registry.Entry) error {
			if err := s.o.CheckEntry(x); err != nil {
				if n++; n == 1 {
					first = fmt.Sprintf("%q: %v", x.Key, err)
				}
			}
			return nil
		})
		if err != nil {
			return wrong, fmt.Errorf("entries of %s: %w", list, err)
		}
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("entries of %s that edges cannot read (%d), the first of them %s", list, n, first))
		}
	}
	return wrong, nil
}
