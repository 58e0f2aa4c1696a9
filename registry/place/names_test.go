package place_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

func TestBuiltinSuffixes(t *testing.T) {
	for name, want := range map[string]string{
		"w.kunlunsl.com":                                    "aliyun cdn",
		"www.example.com.w.kunlunsl.com":                    "aliyun cdn",
		"example.com.w.kunlunnew.com":                       "aliyun cdn",
		"kunlun.com":                                        "",
		"www.example.com.c.yundunwaf5.com":                  "aliyun waf",
		"x.yundunwaf6.com":                                  "",
		"x.aliyunddos1014.com":                              "aliyun anti-ddos",
		"x.aliyunddos101.com":                               "",
		"x.gtm-a3b7.com":                                    "aliyun slb",
		"bucket.oss-cn-hangzhou.aliyuncs.com":               "aliyun oss",
		"oss-cn-hongkong-internal.aliyuncs.com":             "aliyun oss",
		"ecs.aliyuncs.com":                                  "",
		"www.example.com.cdn.dnsv1.com":                     "tencent cdn",
		"cdn.dnsv1.com":                                     "tencent cdn",
		"www.example.com.cdn.dnsv1.com.cn":                  "tencent cdn",
		"x.tdnsv1.com":                                      "tencent cdn",
		"x.tdnsv15.com":                                     "tencent cdn",
		"x.tdnsv16.com":                                     "",
		"www.example.com.eo.dnse1.com":                      "tencent cdn",
		"b-1250000000.cos.ap-guangzhou.myqcloud.com":        "tencent oss",
		"b-1250000000.cos.accelerate.myqcloud.com":          "tencent oss",
		"b.cos-website.ap-beijing.myqcloud.com":             "tencent oss",
		"b.xcos.ap-guangzhou.myqcloud.com":                  "",
		"b.cos.ap.guangzhou.myqcloud.com":                   "",
		"b-1250000000.cos.ap-guangzhou.tencentcos.cn":       "tencent oss",
		"www.example.com.c.cdnhwc1.com":                     "huawei cdn",
		"x.cdnhwcaoc115.cn":                                 "huawei cdn",
		"x.cdnhw.com":                                       "",
		"b.obs.cn-north-4.myhuaweicloud.com":                "huawei oss",
		"vip1.huaweicloudwaf.com":                           "huawei waf",
		"x.a.bdydns.com":                                    "baidu cdn",
		"b.cdn.bcebos.com":                                  "baidu cdn",
		"b.bj.bcebos.com":                                   "baidu oss",
		"x.volcgslb.com":                                    "volcengine cdn",
		"x.volcmcdn2.com":                                   "volcengine cdn",
		"x.volcgtm.com":                                     "volcengine slb",
		"b.tos-cn-beijing.volces.com":                       "volcengine oss",
		"x.jdcloudwaf.com":                                  "jd waf",
		"x.wscdns.com":                                      "wangsu cdn",
		"x.qiniudns.com":                                    "qiniu cdn",
		"x.b0.aicdn.com":                                    "upyun cdn",
		"d111111abcdef8.cloudfront.cn":                      "aws-china cdn",
		"b.s3.cn-north-1.amazonaws.com.cn":                  "aws-china oss",
		"x.elb.cn-north-1.amazonaws.com.cn":                 "aws-china unknown",
		"x.chinacloudsites.cn":                              "azure-china vhost",
		"x.cdn.dnsv1.com.attacker.test":                     "",
		"notcdn.dnsv1.com":                                  "",
		"dnsv1.com":                                         "",
		"x.cdn-dnsv1.com":                                   "",
		"w.kunlunsl.com.attacker.test":                      "",
		"bucket.oss-cn-hangzhou.aliyuncs.com.attacker.test": "",
		"notw.kunlunsl.com.example":                         "",
		"com":                                               "",
		"www.example.com":                                   "",
	} {
		provider, product, ok := place.BuiltinSuffixes().Lookup(registry.MustParseDomain(name))
		got := ""
		if ok {
			got = string(provider) + " " + product.String()
		}
		if got != want {
			t.Errorf("Lookup(%s) = %q; want %q", name, got, want)
		}
	}
	if _, _, ok := place.BuiltinSuffixes().Lookup(registry.Domain{}); ok {
		t.Error("no name matches; want no match")
	}
	if _, _, ok := (*place.Suffixes)(nil).Lookup(registry.MustParseDomain("w.kunlunsl.com")); ok {
		t.Error("the nil set matches; want no match")
	}
}

// TestSuffixTextNamesNoPatternTwice: a built-in line that another one repeats
// would be read without complaint.
func TestSuffixTextNamesNoPatternTwice(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(place.BuiltinSuffixText) {
		fields := strings.Fields(strings.SplitN(line, "#", 2)[0])
		if len(fields) == 0 {
			continue
		}
		if seen[fields[0]] {
			t.Errorf("%s stands there twice", fields[0])
		}
		seen[fields[0]] = true
	}
	if len(seen) < 100 {
		t.Errorf("%d suffixes; want more than 100", len(seen))
	}
}

func TestOwnSuffixes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "suffixes.txt")
	const text = `
w.kunlunsl.com        example  waf      # replaces the built-in line
kunlun?*.com          -        -        # so does this, for all others
edge.example.com      example  cdn
*.example.com         example  vhost    # below example.com, not itself
a-*.edge.example.com  example  oss
a-b*.edge.example.com example  slb
x.a-*.example.com     example  mail
例子.测试               example  cdn
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := place.OpenSuffixes(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"x.w.kunlunsl.com":            "example waf",
		"x.kunlunsl.com":              "aliyun cdn", // a plain built-in line is more specific than the glob
		"x.kunlunnew.com":             " unknown",
		"x.cdn.dnsv1.com":             "tencent cdn",
		"edge.example.com":            "example cdn",
		"www.edge.example.com":        "example cdn",
		"other.example.com":           "example vhost",
		"example.com":                 "",
		"a-1.edge.example.com":        "example oss",
		"a-b1.edge.example.com":       "example slb",
		"x.a-1.example.com":           "example mail",
		"yx.a-1.example.com":          "example vhost",
		"y.x.a-1.example.com":         "example mail",
		"cdn.xn--fsqu00a.xn--0zwm56d": "example cdn",
	} {
		provider, product, ok := s.Lookup(registry.MustParseDomain(name))
		got := ""
		if ok {
			got = string(provider) + " " + product.String()
		}
		if got != want {
			t.Errorf("Lookup(%s) = %q; want %q", name, got, want)
		}
	}
	if _, err := place.OpenSuffixes(file + ".missing"); err == nil {
		t.Error("a missing file opens; want an error")
	}
}

func TestBindings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bindings.txt")
	const text = `
*.example.com       cdn acceleration=overseas
*.shop.example.com  oss acceleration=global origin=elsewhere
shop.example.com    waf origin=here
www.shop.example.com -  origin=overseas acceleration=mainland
*.例子.test          ecs
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bs, err := place.OpenBindings(file)
	if err != nil {
		t.Fatal(err)
	}
	none := place.Binding{}
	for name, want := range map[string]place.Binding{
		"example.com":            none,
		"www.example.com":        {Product: registry.CDN, Acceleration: registry.OverseasAcceleration},
		"a.b.example.com":        {Product: registry.CDN, Acceleration: registry.OverseasAcceleration},
		"shop.example.com":       {Product: registry.WAF, Origin: registry.OriginHere},
		"img.shop.example.com":   {Product: registry.OSS, Acceleration: registry.GlobalAcceleration, Origin: registry.OriginElsewhere},
		"www.shop.example.com":   {Acceleration: registry.MainlandAcceleration, Origin: registry.OriginOverseas},
		"x.www.shop.example.com": {Product: registry.OSS, Acceleration: registry.GlobalAcceleration, Origin: registry.OriginElsewhere},
		"notexample.com":         none,
		"a.xn--fsqu00a.test":     {Product: registry.ECS},
	} {
		if got, ok := bs.Lookup(registry.MustParseDomain(name)); got != want || ok != (want != none) {
			t.Errorf("Lookup(%s) = %+v, %t; want %+v", name, got, ok, want)
		}
	}
	if bs.Len() != 5 {
		t.Errorf("%d bindings; want 5", bs.Len())
	}
	if _, ok := (*place.Bindings)(nil).Lookup(registry.MustParseDomain("example.com")); ok {
		t.Error("the nil set binds; want none")
	}
	if _, err := place.OpenBindings(file + ".missing"); err == nil {
		t.Error("a missing file opens; want an error")
	}
}

// slowSuffix looks for the most specific line by a regular expression a line.
func slowSuffix(text, name string) string {
	bestKey, best := "", ""
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		fields := strings.Fields(strings.SplitN(line, "#", 2)[0])
		if len(fields) != 3 {
			continue
		}
		suffix := strings.ToLower(strings.TrimSuffix(fields[0], "."))
		expr := strings.NewReplacer(".", `\.`, "*", `[^.]*`, "?", `[^.]`, "-", "-").Replace(suffix)
		if !regexp.MustCompile(`(?:^|\.)` + expr + `$`).MatchString(name) {
			continue
		}
		plain, literal := "0", len(regexp.MustCompile(`\[[^]]*\]|[*?]`).ReplaceAllString(suffix, ""))
		if !strings.ContainsAny(suffix, "*?[") {
			plain = "1"
		}
		// More labels first, then plain ones, then more literals; a tie goes to the
		// lesser text, which byte-wise complement turns into the greater one.
		key := string(rune(strings.Count(suffix, "."))) + plain + string(rune(0x100+literal)) + complement(suffix)
		if key > bestKey {
			bestKey, best = key, strings.ToLower(fields[1])+" "+fields[2]
		}
	}
	return best
}

func complement(s string) string {
	b := []byte(s + "\x00")
	for i := range b {
		b[i] = 255 - b[i]
	}
	return string(b)
}

// FuzzSuffixes compares with the slow twin. Brackets are left to the tables: the
// two languages write ranges alike but differ at their edges.
func FuzzSuffixes(f *testing.F) {
	f.Add("w.example.com aliyun cdn\nk?*.example tencent oss\n", "x.w.example.com")
	f.Add("cos.*.example.com tencent oss\n*.example.com a waf\na*.b.com x cdn\na.b*.com y cdn", "b.cos.x.example.com")
	f.Add("oss-*.example.com aliyun oss # c\r\nexample.com - -\n", "oss-.example.com")
	f.Add("a*.x.com a cdn\n*a.x.com b cdn\n", "aa.x.com")
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := place.ParseSuffixesAlone(text)
		d, nameErr := registry.ParseDomain(name)
		if err != nil || nameErr != nil || strings.ContainsAny(text, "[]\\\r\f\v") || !ascii(text) {
			return
		}
		provider, product, ok := s.Lookup(d)
		got := ""
		if ok {
			got = dash(string(provider)) + " " + product.String()
		}
		want := strings.Replace(slowSuffix(text, d.String()), " -", " unknown", 1)
		if got != want {
			t.Errorf("Lookup(%s) in %q = %q; want %q", d, text, got, want)
		}
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ascii(s string) bool {
	return strings.IndexFunc(strings.TrimPrefix(s, "\ufeff"), func(r rune) bool { return r > 126 }) < 0
}

// slowBinding walks the lines for every name at and above.
func slowBinding(text, name string) string {
	lines := map[string]string{}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		fields := strings.Fields(strings.SplitN(line, "#", 2)[0])
		if len(fields) > 1 {
			lines[strings.ToLower(strings.TrimSuffix(fields[0], "."))] = fields[1]
		}
	}
	if p, ok := lines[name]; ok {
		return p
	}
	for rest := name; strings.Contains(rest, "."); {
		_, rest, _ = strings.Cut(rest, ".")
		if p, ok := lines["*."+rest]; ok {
			return p
		}
	}
	return ""
}

func FuzzBindings(f *testing.F) {
	f.Add("*.example.com cdn\nwww.example.com oss origin=here\n", "www.example.com")
	f.Add("*.example.com - acceleration=overseas\n*.b.example.com ecs # c\n", "a.b.example.com")
	f.Fuzz(func(t *testing.T, text, name string) {
		bs, err := place.ParseBindings("bindings", strings.NewReader(text))
		d, nameErr := registry.ParseDomain(name)
		if err != nil || nameErr != nil || !ascii(text) || strings.ContainsRune(text, '\\') {
			return
		}
		b, ok := bs.Lookup(d)
		want := strings.Replace(slowBinding(text, d.String()), "-", "unknown", 1)
		if slow := slowBinding(text, d.String()); slow != "-" {
			want = slow
		}
		got := ""
		if ok {
			got = b.Product.String()
		}
		if got != want {
			t.Errorf("Lookup(%s) in %q = %q; want %q", d, text, got, want)
		}
	})
}
