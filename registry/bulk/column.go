package bulk

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// column is a fact of a row, whatever its file calls it. The zero value is none.
type column uint8

const (
	noColumn column = iota
	colDomain
	colNumber
	colEntityNumber
	colEntityName
	colNature
	colSiteName
	colKind
	colStatus
	colProvince
	colFiledAt
	colUpdatedAt
	colProvider
	colAccessStatus
	colAccessedAt
	colRestricted
	colCovers
	colAddress
	colFiledIP
	colCancelledWithEntity
	colHomePage
	columnCount
)

// columnWords are the names of the columns, as reports give them.
var columnWords = [columnCount]string{
	"", "domain", "number", "entity_number", "entity_name", "entity_nature", "site_name", "kind", "status", "province",
	"filed_at", "updated_at", "provider", "access_status", "accessed_at", "restricted", "covers", "address", "filed_ip",
	"cancelled_with_entity", "home_page",
}

func (c column) String() string { return columnWords[c] }

// Columns returns the names of the columns of a CSV file, in the order of the
// package's documentation.
func Columns() []string { return slices.Clone(columnWords[colDomain : colAddress+1]) }

// cells are the values of one row by column, empty where there is none.
type cells struct {
	value    [columnCount]string
	accesses []accessCells
	// listed: the row has a list of accesses, perhaps an empty one.
	listed bool
}

type accessCells struct{ provider, status, at string }

func (c *cells) reset() {
	*c = cells{accesses: c.accesses[:0]}
}

// headerAliases are other headers than the columns' names: those of exports of
// the public query and of tables made from it (rule book 5.4). 审核日期 is the
// day of the last review, so of an update; a site may have been filed long before.
var headerAliases = map[string]column{
	"域名": colDomain, "网站域名": colDomain, "备案域名": colDomain, "domains": colDomain,
	"服务许可证号": colNumber, "网站备案号": colNumber, "备案号": colNumber, "网站备案/许可证号": colNumber, "servicelicence": colNumber,
	"主体许可证号": colEntityNumber, "主体备案号": colEntityNumber, "主体备案/许可证号": colEntityNumber, "mainlicence": colEntityNumber,
	"主办单位": colEntityName, "主办单位名称": colEntityName, "unitname": colEntityName,
	"单位性质": colNature, "主办单位性质": colNature, "naturename": colNature, "nature": colNature,
	"网站名称": colSiteName, "服务名称": colSiteName, "servicename": colSiteName,
	"服务类型": colKind, "servicetype": colKind,
	"备案状态": colStatus,
	"省份":   colProvince,
	"更新时间": colUpdatedAt, "审核日期": colUpdatedAt, "审核时间": colUpdatedAt, "updaterecordtime": colUpdatedAt,
	"接入商": colProvider, "接入服务商": colProvider,
	"接入状态": colAccessStatus,
	"接入时间": colAccessedAt,
	"限制访问": colRestricted, "限制接入": colRestricted, "limitaccess": colRestricted,
	"网站首页地址": colHomePage, "首页地址": colHomePage, "homeurl": colHomePage,
}

// headersWithoutUse are headers of the same exports whose columns say nothing
// that a filing here holds; they get no warning.
var headersWithoutUse = []string{
	"序号", "内容类型", "域名id", "负责人", "主体id", "服务id", "contenttypename", "domainid", "leadername", "mainid", "serviceid",
	"cityid", "countyid", "provinceid", "dataid", "mainunitaddress", "mainunitcertno", "mainunitcerttype", "natureid",
	"version", "blacklistlevel",
}

// columnOf finds the column of a header, noColumn if it is not known. without
// reports a known header of no use.
func columnOf(header string) (c column, without bool) {
	h := strings.ToLower(trim(header))
	if i := slices.Index(columnWords[1:], h); i >= 0 {
		return column(i + 1), false
	}
	if c, ok := headerAliases[h]; ok {
		return c, false
	}
	return noColumn, h == "" || slices.Contains(headersWithoutUse, h)
}

// trim cuts spaces of every script and what nobody sees from both ends.
func trim(s string) string {
	if len(s) == 0 || !mayCut(firstRune(s)) && !mayCut(lastRune(s)) {
		return s
	}
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' || r == '\u2060'
	})
}

// mayCut is a quick look at a rune at an end of a text. Most that are not ASCII
// are Chinese, and the last space of Unicode stands before these, at U+3000.
func mayCut(r rune) bool {
	return r <= ' ' || utf8.RuneSelf <= r && r <= '\u3000' || r == '\ufeff'
}

func firstRune(s string) rune {
	if s[0] < utf8.RuneSelf {
		return rune(s[0])
	}
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func lastRune(s string) rune {
	if b := s[len(s)-1]; b < utf8.RuneSelf {
		return rune(b)
	}
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}
