package registry

import "fmt"

// Entity is the person or organisation that filed a site (主体). The zero value
// is an entity of which nothing is known. The name of an individual is personal
// data: it stays in the registry of record and never reaches an edge.
type Entity struct {
	Number Number // entity number (主体备案号); zero where it is unknown
	Name   string
	Nature Nature
}

// Nature is what kind of person an entity is (主办单位性质). The zero value is
// NatureUnknown.
type Nature uint8

// The natures, with the codes of the filing form (rule book 5.2).
const (
	NatureUnknown         Nature = iota
	Defence                      // 1 国防机构
	Government                   // 2 政府机关
	PublicInstitution            // 3 事业单位
	Enterprise                   // 4 企业
	Individual                   // 5 个人
	SocialOrganisation           // 6 社会团体
	PrivateNonEnterprise         // 7 民办非企业单位
	Foundation                   // 8 基金会
	LawFirm                      // 9 律师执业机构
	ForeignCultureCentre         // 10 外国在华文化中心
	MassOrganisation             // 11 群众性团体组织
	ForensicInstitution          // 12 司法鉴定机构
	ReligiousOrganisation        // 13 宗教团体
	OverseasOrganisation         // 14 境外机构
	MedicalInstitution           // 15 医疗机构
	NotaryOffice                 // 16 公证机构
	natureCount
)

var natureWords = words{
	"unknown", "defence", "government", "public-institution", "enterprise", "individual", "social-organisation",
	"private-non-enterprise", "foundation", "law-firm", "foreign-culture-centre", "mass-organisation",
	"forensic-institution", "religious-organisation", "overseas-organisation", "medical-institution", "notary-office",
}

// natureZH are the terms of the filing form, as the public query writes them.
var natureZH = words{
	"未知", "国防机构", "政府机关", "事业单位", "企业", "个人", "社会团体", "民办非企业单位", "基金会", "律师执业机构",
	"外国在华文化中心", "群众性团体组织", "司法鉴定机构", "宗教团体", "境外机构", "医疗机构", "公证机构",
}

// ParseNature reads the word, the Chinese term or the form's code of a nature.
func ParseNature(s string) (Nature, error) {
	for n := range natureCount {
		if s == natureWords[n] || s == natureZH[n] || s == fmt.Sprint(uint8(n)) {
			return n, nil
		}
	}
	if alias, ok := natureAliases[s]; ok {
		return alias, nil
	}
	return NatureUnknown, fmt.Errorf("unknown entity nature %q; expect %s, or the term or code of the filing form", s, AnyOf(natureWords))
}

// natureAliases are spellings seen in other tables than the filing form.
var natureAliases = map[string]Nature{
	"军队":       Defence,
	"政府":       Government,
	"政府机构":     Government,
	"自然人":      Individual,
	"律师事务所":    LawFirm,
	"defense":  Defence,
	"company":  Enterprise,
	"person":   Individual,
	"personal": Individual,
}

// String returns the word of n, for example "public-institution".
func (n Nature) String() string { return natureWords.of(uint8(n)) }

// Chinese returns the term of the filing form.
func (n Nature) Chinese() string { return natureZH.of(uint8(n)) }

// MarshalText writes the word of n.
func (n Nature) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what ParseNature reads.
func (n *Nature) UnmarshalText(b []byte) (err error) {
	*n, err = ParseNature(string(b))
	return err
}
