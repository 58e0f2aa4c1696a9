package registry

// Channel is how a query was seen. The rules are the same on all; only what is
// visible differs. The zero value is ChannelDNS.
type Channel uint8

// The channels.
const (
	ChannelDNS Channel = iota
	ChannelHTTP
	ChannelHTTPS
	ChannelQUIC
)

var channelWords = words{"dns", "http", "https", "quic"}

// ParseChannel reads the word of a channel.
func ParseChannel(s string) (Channel, error) {
	i, err := channelWords.parse("channel", s)
	return Channel(i), err
}

// String returns the word of c.
func (c Channel) String() string { return channelWords.of(uint8(c)) }

// Query is one question for a verdict: who asks for which host, at which
// address. It is a value. The zero Query asks for nothing and is not judged.
type Query struct {
	Host    Host
	Channel Channel
	Place   Place

	// Provider is whose edge asks; "" is an operator who is no provider.
	Provider ProviderID
	// AddressProvider is whose the address is; "" is unknown. The demand for an
	// access applies only where it is Provider.
	AddressProvider ProviderID

	Product      Product
	Acceleration Acceleration
	Origin       Origin
	// OriginPull: the request comes from a CDN's edge to the origin, so that the
	// address is the origin's and not the accelerator's.
	OriginPull bool

	Policy    Policy
	Exemption Exemption
	// Profile is Provider's product profile; nil is the built-in one.
	Profile *Profile
	// TLDs are those that can be filed; nil is all of the ICANN section.
	TLDs TLDs
	// Now is the time of the query in Unix seconds, for expiries.
	Now int64
}

// Verdict is the answer to a Query (判定). The zero value is undecided and passes.
type Verdict struct {
	Reason     Reason
	Block      bool
	Advisories Advisories
	// Filed is how many labels the name has under which the deciding filing was
	// made: the filed name is Query.Host.Name.Last(Filed). 0 where none decided.
	Filed uint8
}

// Page returns the notice for a blocked client; PageNone if v passes.
func (v Verdict) Page() Page {
	if !v.Block {
		return PageNone
	}
	return v.Reason.Page()
}

// String returns "pass" or "block".
func (v Verdict) String() string {
	if v.Block {
		return "block"
	}
	return "pass"
}

// Worse returns the verdict that counts of two for one query (several addresses,
// SNI and Host): any block over any pass, the worse of two blocks, else v.
func (v Verdict) Worse(w Verdict) Verdict {
	switch {
	case w.Block && !v.Block:
		return w
	case w.Block && w.Reason.severity() > v.Reason.severity():
		return w
	}
	return v
}

// Decide judges a query by what the registry knows of its host. It is total and
// pure: no error, no allocation, no lock, and for equal arguments the same
// verdict. The order of the tests is that of rule book §2.
func Decide(q Query, c Coverage) Verdict { return q.Decide(&c) }

// Decide is the function of that name without a copy of its arguments, which it
// leaves as they are: for callers whose stack is short.
func (q *Query) Decide(c *Coverage) Verdict {
	if q.notJudged() {
		return Verdict{Reason: NotJudged}
	}
	v := q.decideAt(c)
	if q.Exemption.Holds(q.Now) && (q.Exemption.Authority || v.Reason != Blacklisted && v.Reason != Restricted) {
		v = Verdict{Reason: Exempt}
	}
	v.Block = v.Reason.Blocks() || v.Reason == Undecided && q.Policy.Fail == FailClosed
	if q.Place == Mainland && q.Acceleration == OverseasAcceleration && !q.OriginPull {
		v.Advisories = v.Advisories.With(RegionMismatch)
	}
	return v
}

// notJudged reports whether the host is one that is never judged. No host at all
// is the root in DNS; elsewhere it has a policy of its own.
func (q *Query) notJudged() bool {
	switch q.Host.Kind() {
	case NameHost:
		return q.Host.Name.NotJudged()
	case NoHost:
		return q.Channel == ChannelDNS
	}
	return false
}

// decideAt asks where the address is; only the mainland leads further.
func (q *Query) decideAt(c *Coverage) Verdict {
	switch {
	case q.Place == Mainland:
		return q.decideMainland(c)
	case q.Place == PlaceNone:
		return Verdict{Reason: NoAddress}
	case q.Place == Private:
		return Verdict{Reason: NotPublic}
	case !q.Place.Outside():
		return Verdict{Reason: LocationUnknown}
	case q.Acceleration == OverseasAcceleration:
		return verdict(OverseasAccelerated).with(PSBRequired)
	case q.Acceleration == GlobalAcceleration:
		return verdict(OutsideMainland).with(PSBIfServingMainland).with(FilingRequiredForGlobal)
	}
	return verdict(OutsideMainland).with(PSBIfServingMainland)
}

// decideMainland asks what kind of host it is.
func (q *Query) decideMainland(c *Coverage) Verdict {
	switch q.Host.Kind() {
	case NoHost:
		return q.decideNoHost()
	case AddrHost:
		switch q.Policy.IPLiteral {
		case IPLiteralAllow:
			return verdict(IPLiteralPass).with(IPFilingAtAuthority)
		case IPLiteralBlock:
			return verdict(IPRefused).with(IPFilingAtAuthority)
		}
	}
	if !c.Loaded {
		return Verdict{Reason: Undecided}
	}
	if c.Blacklisted {
		return Verdict{Reason: Blacklisted}
	}
	return q.decideCovered(c)
}

func (q *Query) decideNoHost() Verdict {
	switch {
	case q.Policy.NoHost == NoHostBlock:
		return Verdict{Reason: NoHostRefused}
	case q.Channel == ChannelHTTP:
		return verdict(NoHostPass).with(IPFilingAtAuthority)
	}
	return verdict(NoHostPass).with(InspectHostAfterTLS)
}

// decideCovered picks the filing that decides among those that reach the host:
// the most favourable to the site, the more specific among equals; but a
// restriction of the most specific one that is not cancelled comes first. One
// under review covers nothing yet: an order for a sub-name lifts no restriction
// above it.
func (q *Query) decideCovered(c *Coverage) Verdict {
	best := outcome{rank: rankNone}
	appFiled := false
	specific, found := uint8(0), false
	for i := range c.Filings {
		f := &c.Filings[i]
		if f.Inherited && q.Policy.Gov == GovStrict {
			continue
		}
		if f.Kind.App() {
			appFiled = appFiled || f.Status.Stands()
			continue
		}
		if f.Status != StatusCancelled && (!found || f.Filed == specific) {
			if f.Restricted {
				return Verdict{Reason: Restricted, Filed: f.Filed}
			}
			if f.Status.Stands() {
				specific, found = f.Filed, true
			}
		}
		if o := q.judge(f); o.rank < best.rank {
			best = o
		}
	}
	if best.rank == rankUnderReview || best.rank == rankNone {
		return q.unfiled(best, appFiled, c.GovFiled)
	}
	return best.Verdict
}

// unfiled says how a host is not filed; best is an order under review, or nothing.
func (q *Query) unfiled(best outcome, appFiled, govFiled bool) Verdict {
	if q.Host.Kind() == AddrHost {
		return verdict(IPUnfiled).with(IPFilingAtAuthority)
	}
	if best.rank == rankNone && govFiled && q.Policy.Gov == GovStrict {
		return Verdict{Reason: GovUnitUnfiled}
	}
	v := Verdict{Reason: Unfiled, Filed: best.Filed}
	if best.rank == rankUnderReview {
		v = v.with(PendingReview)
	} else if appFiled {
		v = v.with(AppFilingIsNotSiteFiling)
	}
	if !q.TLDs.Fileable(q.Host.Name) {
		v = v.with(TLDNotFileable)
	}
	if q.Host.ACME {
		v = v.with(UseDNS01)
	}
	return v
}

// rank orders what a filing gives, from the most favourable to the site to the
// least (rule book §2.5).
type rank uint8

const (
	rankAccessed rank = iota
	rankPending
	rankFiled
	rankNotAccessed
	rankAccessCancelled
	rankShell
	rankUnderReview
	rankCancelled
	rankNone
)

// outcome is what one filing gives the query.
type outcome struct {
	Verdict
	rank rank
}

// judge tells what a single filing that covers the host gives.
func (q *Query) judge(f *Covering) outcome {
	v := Verdict{Filed: f.Filed}
	switch {
	case f.Status == StatusCancelled:
		v.Reason = Cancelled
		return outcome{v, rankCancelled}
	case !f.Status.Stands():
		return outcome{v, rankUnderReview}
	case !q.own():
		return q.judgeElsewhere(f, v)
	case q.profile().Demand(q.Product, q.Origin) == DemandFiling:
		return q.judgeFiling(f, v)
	}
	return q.judgeAccess(f, v)
}

// own reports whether the address is the asking provider's own: only there can
// it demand an access.
func (q *Query) own() bool { return q.Provider != "" && q.AddressProvider == q.Provider }

func (q *Query) profile() *Profile {
	if q.Profile != nil {
		return q.Profile
	}
	return (*Profiles)(nil).For(q.Provider)
}

// judgeElsewhere: at somebody else's or nobody's address a filing is enough, and
// nothing is said of accesses here.
func (q *Query) judgeElsewhere(f *Covering, v Verdict) outcome {
	v.Reason = Filed
	if f.AccessesKnown && !f.active() {
		v = v.with(ShellRisk)
	}
	return outcome{v, rankFiled}
}

// judgeFiling: the profile asks for a filing only; an access here is advised.
func (q *Query) judgeFiling(f *Covering, v Verdict) outcome {
	v.Reason = Filed
	here, ok := f.access(q.Provider)
	switch {
	case ok && here.Status == AccessActive:
	case f.AccessesKnown && !f.active():
		v = v.with(ShellRisk)
	case q.Origin == OriginHere:
		v = v.with(OriginAccessRequired)
	default:
		v = v.with(AccessRecommended)
	}
	return outcome{v, rankFiled}
}

// judgeAccess: the profile asks for an access here.
func (q *Query) judgeAccess(f *Covering, v Verdict) outcome {
	here, ok := f.access(q.Provider)
	switch {
	case ok && here.Status == AccessActive:
		v.Reason = Accessed
		return outcome{v, rankAccessed}
	case ok && here.Status != AccessCancelled:
		if q.Policy.PendingAccess == PendingAccessAllow && q.Now < here.GraceUntil() {
			v.Reason = AccessPending
			return outcome{v.with(FinishWithin45Days), rankPending}
		}
		v.Reason = NotAccessed
		return outcome{v.with(PendingReview), rankNotAccessed}
	case f.AccessesKnown && !f.active():
		// Cancelling the last access makes a shell site, so this comes before
		// access-cancelled.
		v.Reason = Shell
		return outcome{v.with(ReAccessSoon), rankShell}
	case ok:
		v.Reason = AccessCancelledHere
		return outcome{v.with(AccessHere), rankAccessCancelled}
	}
	v.Reason = NotAccessed
	return outcome{v.with(AccessHere), rankNotAccessed}
}

// access finds the filing's access with a provider.
func (f *Covering) access(id ProviderID) (Access, bool) {
	for _, a := range f.Accesses {
		if a.Provider == id {
			return a, true
		}
	}
	return Access{}, false
}

// active reports whether anybody holds an active access.
func (f *Covering) active() bool {
	for _, a := range f.Accesses {
		if a.Status == AccessActive {
			return true
		}
	}
	return false
}

func verdict(r Reason) Verdict { return Verdict{Reason: r} }

func (v Verdict) with(a Advisory) Verdict {
	v.Advisories = v.Advisories.With(a)
	return v
}

// Effect is what an edge does with a verdict. The zero value is EffectPass.
type Effect uint8

// The effects that follow from the rules; how an edge blocks or redirects is
// its own configuration.
const (
	EffectPass  Effect = iota
	EffectBlock        // withhold all
	EffectStrip        // withhold the blocked addresses, leave the others
)

var effectWords = words{"pass", "block", "strip"}

// String returns the word of e.
func (e Effect) String() string { return effectWords.of(uint8(e)) }

// EffectOf returns what an edge with policy p does with a verdict. others tells
// whether the message also holds addresses that pass.
func (p Policy) EffectOf(v Verdict, others bool) Effect {
	switch {
	case !v.Block, p.Mode == Monitor:
		return EffectPass
	case others && p.Mixed == MixedStrip:
		return EffectStrip
	}
	return EffectBlock
}
