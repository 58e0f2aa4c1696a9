package registry_test

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/icpgate/icpgate/registry"
)

// aboutNumber are the warnings that stay with a number however it is spelt.
const aboutNumber = registry.WarnDigits | registry.WarnRegion

// numberCases are the spellings that ParseNumber takes. Source: rule book 5.1
// and footers of public pages.
var numberCases = []struct{ in, want, warn string }{
	// canonical
	{"京ICP备12345678号", "京ICP备12345678号", ""},
	{"沪ICP备05052064号", "沪ICP备05052064号", ""},
	{"皖ICP备05001号-1", "皖ICP备05001号-1", "digit-count"},
	{"黔ICP备2026001073号-1", "黔ICP备2026001073号-1", ""},
	{"陇ICP备2021003158号-1", "陇ICP备2021003158号-1", ""},
	{"辽ICP备2023009191号-2A", "辽ICP备2023009191号-2A", ""},
	{"苏ICP备2026036865号-1X", "苏ICP备2026036865号-1X", ""},
	{"京ICP备12345678号-4K", "京ICP备12345678号-4K", ""},
	{"京ICP证030173号", "京ICP证030173号", ""},
	{"京ICP证030173号-1", "京ICP证030173号-1", ""},
	{"京ICP证110507号", "京ICP证110507号", ""},
	{"京ICP证150476号", "京ICP证150476号", ""},
	{"粤B2-20090059", "粤B2-20090059", ""},
	{"粤B2-20090059-5", "粤B2-20090059-5", ""},
	{"粤B2-20090059-1626X", "粤B2-20090059-1626X", ""},
	{"B2-20090059-5", "B2-20090059-5", ""},
	{"A2.B1.B2-20090001", "A2.B1.B2-20090001", ""},
	// dirty inputs seen, of the rule book
	{"湘ICP备05005681", "湘ICP备05005681号", "missing-hao"},
	{"陇ICP备 05000593", "陇ICP备05000593号", "spaces, missing-hao"},
	{"滇ICP备09010050-5号", "滇ICP备09010050号-5", "misplaced-hao"},
	{"青ICP备案026000119号-2A", "青ICP备026000119号-2A", "wording, digit-count"},
	{"京ICP备12345678号－1", "京ICP备12345678号-1", "full-width"},
	// provinces by another letter
	{"川ICP备15095485号-1", "蜀ICP备15095485号-1", "province-alias"},
	{"甘ICP备05000593号", "陇ICP备05000593号", "province-alias"},
	{"贵ICP备05000593号", "黔ICP备05000593号", "province-alias"},
	{"云ICP备05000593号", "滇ICP备05000593号", "province-alias"},
	{"秦ICP备05000593号", "陕ICP备05000593号", "province-alias"},
	{"晥ICP备2021004456号", "皖ICP备2021004456号", "province-alias"},
	{"合字B2-20170010", "B2-20170010", "province-alias"},
	{"滬ICP備16027065號-2", "沪ICP备16027065号-2", "traditional"},
	{"貴ICP備16027065號", "黔ICP备16027065号", "province-alias, traditional"},
	// widths, case, blanks, what nobody sees
	{"京ＩＣＰ备１２３４５６７８号－１Ａ", "京ICP备12345678号-1A", "full-width"},
	{"京icp备12345678号-1a", "京ICP备12345678号-1A", "lower-case"},
	{"京ｉｃｐ备12345678号", "京ICP备12345678号", "full-width, lower-case"},
	{"京\u3000ICP 备 12345678 号 - 1 A", "京ICP备12345678号-1A", "spaces"},
	{"京 I C P 备\u00a012345678\t号", "京ICP备12345678号", "spaces"},
	{"京ICP备12345678号-1 \r\n", "京ICP备12345678号-1", "spaces"},
	{"\ufeff京ICP备12345\u200b678号", "京ICP备12345678号", "invisible"},
	{"（京ICP备12345678号）", "京ICP备12345678号", "full-width, punctuation"},
	{"京ICP备12345678号(-1)", "京ICP备12345678号-1", "punctuation"},
	{"'京ICP备12345678号-1", "京ICP备12345678号-1", "punctuation"},
	{"京ICP备12345678号-1。", "京ICP备12345678号-1", "punctuation"},
	{"| 京ICP备12345678号;", "京ICP备12345678号", "spaces, punctuation"},
	// dashes
	{"京ICP备12345678号–1", "京ICP备12345678号-1", "dash"},
	{"京ICP备12345678号——1", "京ICP备12345678号-1", "dash"},
	{"京ICP备12345678号_1", "京ICP备12345678号-1", "dash"},
	{"京ICP备12345678-1", "京ICP备12345678号-1", "missing-hao"},
	{"粤B220090059", "粤B2-20090059", "dash"},
	{"粤B2—20090059—5", "粤B2-20090059-5", "dash"},
	// words
	{"京ICP备第14007000号-7号", "京ICP备14007000号-7", "wording, misplaced-hao"},
	{"京ICP备案号：14007000", "京ICP备14007000号", "full-width, wording, missing-hao"},
	{"ICP备案号: 京ICP备14003088号", "京ICP备14003088号", "spaces, wording"},
	{"增值电信业务经营许可证：浙B2-20080101", "浙B2-20080101", "full-width, wording"},
	{"京ICP证B2-20171701号", "京B2-20171701", "wording, misplaced-hao"},
	{"粤B2-20090059号", "粤B2-20090059", "misplaced-hao"},
	{"粤B2-20090059号-5", "粤B2-20090059-5", "misplaced-hao"},
	{"B2、B1-20130004", "B1.B2-20130004", "punctuation, wording"},
	{"京ICP备12345678号-01", "京ICP备12345678号-1", "leading-zero"},
	// how many digits
	{"京ICP备05001号", "京ICP备05001号", "digit-count"},
	{"京ICP备050011号", "京ICP备050011号", "digit-count"},
	{"京ICP备0500111号", "京ICP备0500111号", "digit-count"},
	{"京ICP备 202300793号-10A", "京ICP备202300793号-10A", "spaces, digit-count"},
	{"京ICP证1000001号", "京ICP证1000001号", "digit-count"},
}

func TestParseNumber(t *testing.T) {
	for _, tc := range numberCases {
		n, warn, err := registry.ParseNumber(tc.in)
		if err != nil {
			t.Errorf("ParseNumber(%q): %v", tc.in, err)
			continue
		}
		if n.String() != tc.want || warn.String() != tc.warn {
			t.Errorf("ParseNumber(%q): got %v, warnings %q; want %v, %q", tc.in, n, warn, tc.want, tc.warn)
		}
		checkNumber(t, tc.in, n, warn)
	}
}

// checkNumber checks what must hold for every text that is read.
func checkNumber(t *testing.T, in string, n registry.Number, warn registry.NumberWarnings) {
	t.Helper()
	clean := n.String()
	again, second, err := registry.ParseNumber(clean)
	if err != nil || again != n || second != warn&aboutNumber {
		t.Errorf("ParseNumber(%q) of %q: got %v, warnings %q, %v; want the same number", clean, in, again, second, err)
	}
	if (warn&^aboutNumber == 0) != (in == clean) {
		t.Errorf("ParseNumber(%q): warnings %q; want some if and only if it is not %q", in, warn, clean)
	}
	if n.IsZero() || n.Kind() == registry.NumberNone {
		t.Errorf("ParseNumber(%q): got no number without an error", in)
	}
	if site := n.Entity().Site(n.Ordinal(), n.Service()); n.HasOrdinal() && site != n {
		t.Errorf("%v: its entity's site is %v; want itself", n, site)
	}
}

func TestParseNumberErrors(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "is empty"},
		{" \u200b。", "is empty"},
		{"港ICP备12345678号", `has "港" where its province should be; expect one of 京 津`},
		{"ICP备12345678号", "no province before ICP"},
		{"合字ICP备12345678号", "no province before ICP"},
		{"京公网安备11010802020134号", "is a PSB number"},
		{"京网文12345678号", `has "网文12345678号" where ICP备`},
		{"京ICP备1234号", "has 4 digits in a row where its digits should be; expect 5 to 10"},
		{"京ICP备12345678901号", "has 11 digits"},
		{"京ICP备XXXXXXXX号", "has 0 digits"},
		{"粤B2-2009005", "has 7 digits in a row where its digits should be; expect 8, without"},
		{"粤B3-20090059", `has "B3-20090059" where`},
		{"京ICP备1234 5678号", "has 4 digits in a row"},
		{"京ICP备12345678号 1", `has "1" after its end`},
		{"京ICP备12345678 1", `has "1" after its end`},
		{"京ICP备12345678号-", "no ordinal from 1 to 99999"},
		{"京ICP备12345678号-0", "ordinal 0"},
		{"京ICP备12345678号-100000", "no ordinal"},
		{"京ICP备12345678号-1B", `has "B" after its end; expect nothing or an ordinal`},
		{"京ICP备12345678号-1AX", `has "X" after its end`},
		{"京ICP备12345678号-1 京ICP备87654321号-1", `has "京ICP备87654321号-1" after`},
		{"京ICP备12345678号\xff", "is not valid UTF-8"},
		{"京ICP备12345678号\x00", "after its end"},
		{strings.Repeat("京", 1<<20), `number "京京京京京京京京京京京京京京京京京京京京…": has 3145728 bytes`},
	} {
		n, warn, err := registry.ParseNumber(tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("ParseNumber(%.60q): got %v, %v; want an error with %q", tc.in, n, err, tc.want)
		}
		if !n.IsZero() || warn != 0 {
			t.Errorf("ParseNumber(%.60q): got %v, %q with an error; want neither", tc.in, n, warn)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("ParseNumber(%.60q): the error has %d bytes", tc.in, len(err.Error()))
		}
	}
}

func TestNumberParts(t *testing.T) {
	for _, tc := range []struct {
		in, province, entity string
		kind                 registry.NumberKind
		ordinal              int
		service              registry.Kind
	}{
		{"", "", "", registry.NumberNone, 0, registry.KindSite},
		{"京ICP备12345678号", "京", "京ICP备12345678号", registry.NumberFiling, 0, registry.KindSite},
		{"辽ICP备2023009191号-2A", "辽", "辽ICP备2023009191号", registry.NumberFiling, 2, registry.KindApp},
		{"苏ICP备2026036865号-1X", "苏", "苏ICP备2026036865号", registry.NumberFiling, 1, registry.KindMiniProgram},
		{"京ICP备12345678号-4K", "京", "京ICP备12345678号", registry.NumberFiling, 4, registry.KindQuickApp},
		{"京ICP证030173号-1", "京", "京ICP证030173号", registry.NumberLicence, 1, registry.KindSite},
		{"粤B2-20090059-5", "粤", "粤B2-20090059", registry.NumberValueAdded, 5, registry.KindSite},
		{"B2-20090059", "", "B2-20090059", registry.NumberValueAdded, 0, registry.KindSite},
	} {
		var n registry.Number
		if err := n.UnmarshalText([]byte(tc.in)); err != nil {
			t.Errorf("UnmarshalText(%q): %v", tc.in, err)
		}
		if n.Province() != tc.province || n.Entity().String() != tc.entity || n.Kind() != tc.kind ||
			n.Ordinal() != tc.ordinal || n.HasOrdinal() != (tc.ordinal > 0) || n.Service() != tc.service {
			t.Errorf("%q: got %s, %v, %v, %d, %v; want %s, %s, %v, %d, %v", tc.in, n.Province(), n.Entity(), n.Kind(),
				n.Ordinal(), n.Service(), tc.province, tc.entity, tc.kind, tc.ordinal, tc.service)
		}
	}
}

func TestNumberKindString(t *testing.T) {
	if got := registry.NumberValueAdded.String(); got != "value-added" {
		t.Errorf("got %q; want value-added", got)
	}
}

func TestNumberSite(t *testing.T) {
	entity := registry.MustParseNumber("京ICP备12345678号")
	for _, tc := range []struct {
		n    registry.Number
		i    int
		kind registry.Kind
		want string
	}{
		{entity, 1, registry.KindSite, "京ICP备12345678号-1"},
		{entity, 2, registry.KindIP, "京ICP备12345678号-2"},
		{entity.Site(2, registry.KindApp), 3, registry.KindSite, "京ICP备12345678号-3"},
		{entity, 99999, registry.KindApp, "京ICP备12345678号-99999A"},
		{entity, 100000, registry.KindApp, ""},
		{entity, 0, registry.KindSite, ""},
		{registry.Number{}, 1, registry.KindSite, ""},
	} {
		if got := tc.n.Site(tc.i, tc.kind).String(); got != tc.want {
			t.Errorf("%v.Site(%d, %v): got %q; want %q", tc.n, tc.i, tc.kind, got, tc.want)
		}
	}
}

func TestNumberIsKey(t *testing.T) {
	if registry.MustParseNumber("京ICP备05001号") == registry.MustParseNumber("京ICP备5001000号") ||
		registry.MustParseNumber("京ICP备0012345号") == registry.MustParseNumber("京ICP备012345号") {
		t.Error("leading zeros make no difference; want other numbers")
	}
	if size := unsafe.Sizeof(registry.Number{}); size != 16 {
		t.Errorf("a Number has %d bytes; want 16", size)
	}
}

func TestNumberJSON(t *testing.T) {
	type row struct {
		Number registry.Number
		PSB    registry.PSBNumber
	}
	for _, in := range []row{{}, {registry.MustParseNumber("粤B2-20090059-5"), registry.MustParsePSBNumber("粤公网安备44030502008569号")}} {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out row
		if err := json.Unmarshal(b, &out); err != nil || out != in {
			t.Errorf("%s: got %v, %v; want %v", b, out, err, in)
		}
	}
	var n registry.Number
	if err := json.Unmarshal([]byte(`"港ICP备1号"`), &n); err == nil {
		t.Errorf("got %v; want an error", n)
	}
}

func TestProvinceName(t *testing.T) {
	for letter, want := range map[string]string{"京": "Beijing", "陕": "Shaanxi", "晋": "Shanxi", "蜀": "Sichuan", "川": "", "港": "", "": ""} {
		if got := registry.ProvinceName(letter); got != want {
			t.Errorf("ProvinceName(%q): got %q; want %q", letter, got, want)
		}
	}
}

func TestNumberWarningWords(t *testing.T) {
	var w registry.NumberWarnings
	if w.Words() != nil || w.String() != "" {
		t.Errorf("no warning: got %v; want none", w.Words())
	}
	all := 2*registry.WarnRegion - 1
	if got := len(all.Words()); got != 14 {
		t.Errorf("all warnings: got %d words; want 14", got)
	}
}

var psbCases = []struct{ in, want, warn string }{
	{"京公网安备11010802020134号", "京公网安备11010802020134号", ""},
	{"粤公网安备44030502008569号", "粤公网安备44030502008569号", ""},
	{"陕公网安备61040202000893号", "陕公网安备61040202000893号", ""},
	{"川公网安备51010802000202号", "川公网安备51010802000202号", ""},
	{"甘公网安备62062102000138号", "甘公网安备62062102000138号", ""},
	{"贵公网安备52020302000084号", "贵公网安备52020302000084号", ""},
	{"滇公网安备53010302000732号", "滇公网安备53010302000732号", ""},
	{"京公网安备 11010802020134号", "京公网安备11010802020134号", "spaces"},
	{"京公网安备110105008661号", "京公网安备110105008661号", "digit-count"},
	{"滇公网安备 5303810000000 号", "滇公网安备5303810000000号", "spaces, digit-count"},
	{"京公安网备110101000005号", "京公网安备110101000005号", "wording, digit-count"},
	{"滇公网安备53030202000521", "滇公网安备53030202000521号", "missing-hao"},
	{"蜀公网安备51078202110037号", "川公网安备51078202110037号", "province-alias"},
	{"黔公网安备52011102000668号", "贵公网安备52011102000668号", "province-alias"},
	{"公网安备11010802020134号", "京公网安备11010802020134号", "province-alias"},
	{"黔公网安备 33010802007421号", "浙公网安备33010802007421号", "province-alias, spaces, region-mismatch"},
	{"新公网安备66010102000001号", "新公网安备66010102000001号", ""},
	{"京公網安備１１０１０８０２０２０１３４號。", "京公网安备11010802020134号", "traditional, full-width, punctuation"},
	{"公安备案号：京公网安备案11010802020134号", "京公网安备11010802020134号", "full-width, wording"},
}

func TestParsePSBNumber(t *testing.T) {
	for _, tc := range psbCases {
		n, warn, err := registry.ParsePSBNumber(tc.in)
		if err != nil {
			t.Errorf("ParsePSBNumber(%q): %v", tc.in, err)
			continue
		}
		if n.String() != tc.want || warn.String() != tc.warn {
			t.Errorf("ParsePSBNumber(%q): got %v, warnings %q; want %v, %q", tc.in, n, warn, tc.want, tc.warn)
		}
		checkPSBNumber(t, tc.in, n, warn)
	}
}

func checkPSBNumber(t *testing.T, in string, n registry.PSBNumber, warn registry.NumberWarnings) {
	t.Helper()
	clean := n.String()
	again, second, err := registry.ParsePSBNumber(clean)
	if err != nil || again != n || second != warn&registry.WarnDigits {
		t.Errorf("ParsePSBNumber(%q) of %q: got %v, warnings %q, %v; want the same number", clean, in, again, second, err)
	}
	if (warn&^aboutNumber == 0) != (in == clean) {
		t.Errorf("ParsePSBNumber(%q): warnings %q; want some if and only if it is not %q", in, warn, clean)
	}
	if !strings.HasPrefix(n.Digits(), n.Region()) || len(n.Region()) != 6 || n.Province() == "" || !strings.HasSuffix(n.Link(), "="+n.Digits()) {
		t.Errorf("%v: digits %q, region %q, province %q, link %q do not fit", n, n.Digits(), n.Region(), n.Province(), n.Link())
	}
}

func TestParsePSBNumberErrors(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "is empty"},
		{"11010802020134", `has "1" where its province should be`},
		{"京ICP备12345678号", `has "ICP备12345678号" where 公网安备 should be`},
		{"京公网安备11010802020号", "has 11 digits in a row where its digits should be; expect 12 to 14"},
		{"京公网安备110108020201345号", "has 15 digits"},
		{"京公网安备99010802020134号", "no province's region code"},
		{"京公网安备11010802020134号-京ICP证110507号", `has "-京ICP证110507号" after its end`},
		{strings.Repeat("1", 1<<20), "has 1048576 bytes"},
	} {
		n, warn, err := registry.ParsePSBNumber(tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !n.IsZero() || warn != 0 {
			t.Errorf("ParsePSBNumber(%.60q): got %v, %q, %v; want an error with %q", tc.in, n, warn, err, tc.want)
		}
	}
}

func TestPSBNumberParts(t *testing.T) {
	n := registry.MustParsePSBNumber("川公网安备51010802000202号")
	const link = "https://beian.mps.gov.cn/#/query/webSearch?code=51010802000202"
	if n.Province() != "蜀" || n.Region() != "510108" || n.Link() != link {
		t.Errorf("%v: got %s, %s, %s; want 蜀, 510108, %s", n, n.Province(), n.Region(), n.Link(), link)
	}
	var zero registry.PSBNumber
	if !zero.IsZero() || zero.String()+zero.Province()+zero.Region()+zero.Link()+zero.Digits() != "" {
		t.Errorf("the zero PSBNumber is %q, %q, %q, %q; want nothing", zero, zero.Province(), zero.Region(), zero.Link())
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, tc := range numberCases {
		f.Add(tc.in)
	}
	for _, in := range []string{"", "京ICP备", "京ICP备1234 5678号", "粤B2.-20090059", "京ICP备12345678号-1AX", "备案号:备案号:京ICP备12345678号", "ICP证B2-20171701"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		compareNumber(t, in)
	})
}

// compareNumber checks that the parser and its twin read the same.
func compareNumber(t *testing.T, in string) {
	t.Helper()
	n, warn, err := registry.ParseNumber(in)
	if slow := slowNumber(in); slow != n.String() {
		t.Fatalf("ParseNumber(%q): got %q, %v; the regexp says %q", in, n, err, slow)
	}
	if err == nil {
		checkNumber(t, in, n, warn)
	}
}

func FuzzParsePSBNumber(f *testing.F) {
	for _, tc := range psbCases {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		comparePSBNumber(t, in)
	})
}

// comparePSBNumber checks that the parser and its twin read the same.
func comparePSBNumber(t *testing.T, in string) {
	t.Helper()
	n, warn, err := registry.ParsePSBNumber(in)
	if slow := slowPSBNumber(in); slow != n.String() {
		t.Fatalf("ParsePSBNumber(%q): got %q, %v; the regexp says %q", in, n, err, slow)
	}
	if err == nil {
		checkPSBNumber(t, in, n, warn)
	}
}

// TestNumberTwins compares the parsers with their twins on cases whose parts are
// dropped, doubled and mixed; bytes alone rarely make a number.
func TestNumberTwins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	parts := strings.Split("京,川,港,合字,ICP,备,案,证,号,-,—,第,:,：, ,\u3000,\u200b,A,B2,B1.,、,1,0,12345678,X,K,(,。,公网安备,备案号:,備,１,icp", ",")
	for range 20000 {
		in := []rune(numberCases[rnd.IntN(len(numberCases))].in)
		if rnd.IntN(3) == 0 {
			in = []rune(psbCases[rnd.IntN(len(psbCases))].in)
		}
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(in) + 1)
			cut := min(len(in), at+rnd.IntN(2))
			in = slices.Concat(in[:at], []rune(parts[rnd.IntN(len(parts))]), in[cut:])
		}
		compareNumber(t, string(in))
		comparePSBNumber(t, string(in))
	}
}

// The slow twins read numbers by regular expressions and return the canonical
// form, empty where there is none.

var (
	slowInvisible = regexp.MustCompile(`\p{Cf}`)
	slowBlank     = regexp.MustCompile("[\\t-\\r\u0085\\p{Z}()\\[\\]{}<>《》〈〉【】〔〕「」『』'\"‘’“”`]")
	slowDash      = regexp.MustCompile(`[‐‑‒–—―−－﹘﹣─━ー_]`)
	slowSimple    = strings.NewReplacer("備", "备", "號", "号", "證", "证", "網", "网", "滬", "沪", "蘇", "苏", "遼", "辽", "魯", "鲁", "贛", "赣", "閩", "闽",
		"粵", "粤", "瓊", "琼", "貴", "贵", "雲", "云", "隴", "陇", "陝", "陕", "寧", "宁", "晉", "晋", "許", "许", "營", "营")
	slowAlias = strings.NewReplacer("晥", "皖", "川", "蜀", "贵", "黔", "云", "滇", "秦", "陕", "甘", "陇")
	slowGap   = regexp.MustCompile(`([0-9]) +([0-9])`)
)

const slowProvinces = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝蜀黔滇藏陕陇青宁新川贵云秦甘晥"

var slowForm = regexp.MustCompile(`^(?:(?:备案号|ICP备案号|网站备案号|主体备案号|备案许可证号|ICP证|许可证号|增值电信业务经营许可证|经营许可证编号):)?` +
	`(?:([` + slowProvinces + `])(ICP备)案?号?:?第?([0-9]{5,10})|` +
	`([` + slowProvinces + `])(ICP证)号?:?第?([0-9]{5,8})|` +
	`(合字|[` + slowProvinces + `])?(?:ICP证号?:?第?)?([AB][12](?:[.、/,][AB][12])*) ?-*([0-9]{8}))` +
	`(?:号?-+([0-9]{1,5})([AXK]?)号?|号?)$`)

var slowPSBForm = regexp.MustCompile(`^(?:(?:备案号|公安备案号|公安联网备案号|公网安备号|网安备案号):)?[` + slowProvinces + `]?` +
	`公(?:网安|安网)备案?号?:?第?([0-9]{12,14})号?$`)

func slowFold(in string) string {
	if len(in) > 256 || !utf8.ValidString(in) {
		return ""
	}
	in = strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			r -= 0xfee0
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}, in)
	in = slowInvisible.ReplaceAllString(in, "")
	in = slowDash.ReplaceAllString(slowBlank.ReplaceAllString(in, " "), "-")
	in = strings.Trim(slowSimple.Replace(in), " ,;.:!|*·•、。")
	// Blanks count only between two digits; twice, since matches do not overlap.
	in = slowGap.ReplaceAllString(slowGap.ReplaceAllString(in, "${1}_${2}"), "${1}_${2}")
	return strings.ReplaceAll(strings.ReplaceAll(in, " ", ""), "_", " ")
}

func slowNumber(in string) string {
	m := slowForm.FindStringSubmatch(slowFold(in))
	if m == nil {
		return ""
	}
	province, form, digits, hao := m[1]+m[4]+m[7], m[2]+m[5], m[3]+m[6]+m[9], "号"
	if m[8] != "" {
		form, hao = slowClasses(m[8]), ""
	}
	out := slowAlias.Replace(strings.TrimPrefix(province, "合字")) + form + digits + hao
	if m[10] == "" {
		return out
	}
	i, _ := strconv.Atoi(m[10])
	if i == 0 {
		return ""
	}
	return out + "-" + strconv.Itoa(i) + m[11]
}

func slowClasses(list string) string {
	var classes []string
	for _, class := range []string{"A1", "A2", "B1", "B2"} {
		if strings.Contains(list, class) {
			classes = append(classes, class)
		}
	}
	return strings.Join(classes, ".") + "-"
}

func slowPSBNumber(in string) string {
	m := slowPSBForm.FindStringSubmatch(slowFold(in))
	if m == nil {
		return ""
	}
	digits := m[1]
	letters := strings.Split("11京 12津 13冀 14晋 15蒙 21辽 22吉 23黑 31沪 32苏 33浙 34皖 35闽 36赣 37鲁 41豫 42鄂 43湘 44粤 45桂 46琼 50渝 51川 52贵 53滇 54藏 61陕 62甘 63青 64宁 65新 66新", " ")
	for _, letter := range letters {
		if strings.HasPrefix(digits, letter[:2]) {
			return letter[2:] + "公网安备" + digits + "号"
		}
	}
	return ""
}
