package gate

import "fmt"

// notice reads what the built-in page, and a template, say beside the verdict.
func (p *parser) notice(args []string) error { return p.pairs("notice", args, noticePairs) }

var noticePairs = []pair{
	noticePair("provider", func(n *NoticeConfig) *string { return &n.Provider }),
	noticePair("contact", func(n *NoticeConfig) *string { return &n.Contact.Text }),
	noticePair("contact-url", func(n *NoticeConfig) *string { return &n.Contact.URL }),
	noticePair("contact-mail", func(n *NoticeConfig) *string { return &n.Contact.Mail }),
	noticePair("filing", func(n *NoticeConfig) *string { return &n.FilingURL }),
	noticePair("access", func(n *NoticeConfig) *string { return &n.AccessURL }),
	noticePair("blocked-by", func(n *NoticeConfig) *string { return &n.BlockedBy }),
}

func noticePair(name string, field func(*NoticeConfig) *string) pair {
	return pair{name, 1, func(p *parser, v []string) error {
		if v[0] == "" {
			return fmt.Errorf("%s is empty; expect a value, or no %s", name, name)
		}
		var one NoticeConfig
		*field(&one) = v[0]
		if err := one.check(); err != nil {
			return err
		}
		*field(&p.s.Says) = v[0]
		return nil
	}}
}

// checkNotice refuses words that nobody would ever see.
func (p *parser) checkNotice() (string, string) {
	b := p.s.Block
	switch {
	case !p.given("notice"):
		return "", ""
	case b.Action == BlockRST || b.Action == BlockFIN:
		return "notice", fmt.Sprintf("notice has no effect: block %s says nothing; expect block page, or no notice", b.Action)
	case !p.s.listens(HTTP, Mixed) && !p.s.asked() && len(p.s.Certificates) == 0:
		return "notice", "notice has no effect: TLS shows nothing without a certificate; expect a line tls CERT KEY [page], or an http:// listener"
	case p.s.Says.BlockedBy != "" && b.Status != 451:
		return "notice blocked-by", "notice blocked-by has no effect: it goes with status 451; expect block page status 451"
	}
	return "", ""
}
