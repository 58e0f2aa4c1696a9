package registry

// TimeBound reports whether Decide may return another verdict for q and c where
// nothing but Now is another one: an exemption has an end, or an access a grace
// that the policy grants.
func (q *Query) TimeBound(c *Coverage) bool {
	if q.Exemption.Until != 0 {
		return true
	}
	if q.Policy.PendingAccess != PendingAccessAllow {
		return false
	}
	for i := range c.Filings {
		for _, a := range c.Filings[i].Accesses {
			if a.GraceUntil() != 0 {
				return true
			}
		}
	}
	return false
}
