package bulk_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/bulk"
)

func TestColumns(t *testing.T) {
	tests := []struct {
		name         string
		header, row  string
		want         string // show, or "refused COLUMN: reason and hint have …"
		wantWarnings string
	}{
		{"domain", "domain", "example.com", "domains=example.com", ""},
		{"upper case and dot", "domain", "Example.COM.", "domains=example.com", ""},
		{"unicode", "domain", "例子.公司", "domains=xn--fsqu00a.xn--55qx5d", ""},
		{"spaces around", "domain,site_name", " example.com\u3000,\u00a0A b ", "domains=example.com; site=A b", ""},
		{"several", "domain,filed_at", "a.com b.com  a.com,2015-01-02", "domains=a.com b.com; filed=2015-01-02", ""},
		{"several undated", "domain", "a.com b.com", "domains=a.com b.com", "several-domains"},
		{"several, dirty", "domain,filed_at", `"a.com、b.com，c.com;d.com,e.com；f.com",2015-01-02`, "domains=a.com b.com c.com d.com e.com f.com; filed=2015-01-02", "domain-spelling"},
		{"several, too young", "domain,filed_at", "a.com b.com,2019-04-22", "refused domain: since 2019-04-22", ""},
		{"several, last day", "domain,filed_at", "a.com b.com,2019-04-21", "domains=a.com b.com; filed=2019-04-21", ""},
		{"public suffix", "domain", "com.cn", "refused domain: a filing names a domain below it", ""},
		{"unknown tld is a suffix", "domain", "example", "refused domain: public suffix", ""},
		{"underscore", "domain", "_dmarc.example.com", "refused domain: underscore", ""},
		{"wildcard", "domain", "*.example.com", "refused domain: write example.com", ""},
		{"address as domain", "domain", "192.0.2.1", "refused domain: kind ip", ""},
		{"mail address", "domain", "me@example.com", "refused domain: mail", ""},
		{"url", "domain", "http://www.example.com/index.html", "domains=example.com", "home-page"},
		{"port", "domain", "example.com:8080", "domains=example.com", "domain-spelling"},
		{"www", "domain", "www.example.com", "domains=www.example.com", "www"},
		{"no domain", "domain,site_name", ",x", "refused domain: no domain", ""},
		{"home page", "网站首页地址", "www.example.com.cn", "domains=example.com.cn", "home-page"},
		{"home page with user and port", "网站首页地址", "https://u:p@www.a.example.com:8443/?q=http://x", "domains=example.com", "home-page"},
		{"home page of a unit", "网站首页地址", "http://www.b.a.gov.cn/", "domains=b.a.gov.cn", "home-page"},
		{"home page of a government", "网站首页地址", "http://www.gov.cn/", "domains=www.gov.cn", "home-page"},
		{"home page beside domain", "域名,网站首页地址", "example.com,http://www.example.org", "domains=example.com", ""},
		{"home page is a suffix", "网站首页地址", "http://com.cn/", "refused home_page: public suffix", ""},

		{"number", "domain,number", "a.com,京ICP备12345678号-3", "domains=a.com; number=京ICP备12345678号-3; entity=京ICP备12345678号", ""},
		{"number, dirty", "domain,number", "a.com,川icp备 12345678－3号", "domains=a.com; number=蜀ICP备12345678号-3; entity=蜀ICP备12345678号", "number-spelling"},
		{"number, bad", "domain,number", "a.com,12345678", "refused number: ", ""},
		{"number without ordinal", "domain,number", "a.com,京ICP备12345678号", "domains=a.com; entity=京ICP备12345678号", "number-without-ordinal"},
		{"licence", "domain,number,entity_number", "a.com,粤B2-20090059-5,粤B2-20090059", "domains=a.com; number=粤B2-20090059-5; entity=粤B2-20090059", ""},
		{"entity number alone", "domain,entity_number", "a.com,京ICP备12345678号", "domains=a.com; entity=京ICP备12345678号", ""},
		{"entity number with ordinal", "domain,entity_number", "a.com,京ICP备12345678号-2", "domains=a.com; entity=京ICP备12345678号", "entity-number"},
		{"entity of another number", "domain,number,entity_number", "a.com,京ICP备12345678号-1,沪ICP备12345678号", "domains=a.com; number=京ICP备12345678号-1; entity=沪ICP备12345678号", "entity-number"},
		{"entity", "domain,entity_name,entity_nature", "a.com,某公司,enterprise", "domains=a.com; name=某公司; nature=enterprise", ""},
		{"nature in Chinese", "domain,entity_nature", "a.com,政府机关", "domains=a.com; nature=government", ""},
		{"nature by code", "domain,entity_nature", "a.com,5", "domains=a.com; nature=individual", ""},
		{"nature unknown", "domain,entity_nature", "a.com,cat", "domains=a.com", "nature"},
		{"name with line end", "domain,site_name", "a.com,\"x\ny\x1b[2J\"", "domains=a.com; site=x y [2J", ""},
		{"name too long", "domain,site_name", "a.com," + strings.Repeat("x", 1001), "refused site_name: longer", ""},
		{"bad bytes", "domain,site_name", "a.com,中文中文中文中文\xff", "refused site_name: tell the encoding", ""},

		{"kind", "domain,kind", "a.com,mini-program", "domains=a.com; kind=mini-program", ""},
		{"kind of the query", "domain,服务类型", "a.com,8", "domains=a.com; kind=quick-app", ""},
		{"kind in Chinese", "domain,kind", "a.com,小程序", "domains=a.com; kind=mini-program", ""},
		{"kind unknown", "domain,kind", "a.com,blog", "refused kind: expect site, app", ""},
		{"kind from letter", "domain,number", "a.com,京ICP备12345678号-2A", "domains=a.com; number=京ICP备12345678号-2A; entity=京ICP备12345678号; kind=app", ""},
		{"site with an app's number", "domain,number,kind", "a.com,京ICP备12345678号-2A,site", "refused kind: is that of a app", ""},
		{"another letter", "domain,number,kind", "a.com,京ICP备12345678号-2X,app", "domains=a.com; number=京ICP备12345678号-2X; entity=京ICP备12345678号; kind=mini-program", "kind"},
		{"app without a letter", "domain,number,kind", "a.com,京ICP备12345678号-2,app", "domains=a.com; number=京ICP备12345678号-2; entity=京ICP备12345678号; kind=app", "kind"},
		{"app without a domain", "domain,kind", ",app", "refused domain: leave it out", ""},

		{"ip", "domain,kind", "192.0.2.1,ip", "addr=192.0.2.1; kind=ip", ""},
		{"ip in address", "domain,kind,address", ",ip,2001:DB8::1", "addr=2001:db8::1; kind=ip", ""},
		{"ip mapped", "domain,kind", "::ffff:192.0.2.1,ip", "addr=192.0.2.1; kind=ip", ""},
		{"ip twice", "domain,kind,address", "192.0.2.1,ip,192.0.2.2", "refused domain: two addresses", ""},
		{"ip without address", "domain,kind,site_name", ",ip,x", "refused address: without its address", ""},
		{"ip with a name", "domain,kind", "example.com,ip", "refused domain: is no address", ""},
		{"ip with zone", "domain,kind", "fe80::1%eth0,ip", "refused domain: is no address", ""},
		{"server address", "domain,address", "a.com,192.0.2.9", "domains=a.com; filed-addr=192.0.2.9", ""},
		{"server addresses", "domain,address", "a.com,192.0.2.9 192.0.2.10", "domains=a.com; filed-addr=192.0.2.9", "address"},
		{"server address, bad", "domain,address", "a.com,300.1.1.1", "refused address: is no address", ""},

		{"status", "domain,status", "a.com,add-site-pending", "domains=a.com; status=add-site-pending", ""},
		{"status in Chinese", "domain,备案状态", "a.com,已注销", "domains=a.com; status=cancelled", ""},
		{"status unknown", "domain,status", "a.com,ok", "refused status: expect normal, change-pending", ""},
		{"cancelled with entity", "domain,status,cancelled_with_entity", "a.com,normal,true", "domains=a.com; status=cancelled", "cancelled-with-entity"},
		{"restricted", "domain,restricted", "a.com,是", "domains=a.com; restricted=true", ""},
		{"not restricted", "domain,限制访问", "a.com,否", "domains=a.com", ""},
		{"restricted unknown", "domain,restricted", "a.com,maybe", "refused restricted: true or false", ""},

		{"province", "domain,number,province", "a.com,京ICP备12345678号-3,北京市", "domains=a.com; number=京ICP备12345678号-3; entity=京ICP备12345678号", ""},
		{"province in English", "domain,number,province", "a.com,京ICP备12345678号-3,beijing", "domains=a.com; number=京ICP备12345678号-3; entity=京ICP备12345678号", ""},
		{"province differs", "domain,number,province", "a.com,京ICP备12345678号-3,沪", "domains=a.com; number=京ICP备12345678号-3; entity=京ICP备12345678号", "province"},
		{"province by alias", "domain,number,province", "a.com,蜀ICP备12345678号-3,川", "domains=a.com; number=蜀ICP备12345678号-3; entity=蜀ICP备12345678号", ""},
		{"province unknown", "domain,province", "a.com,Atlantis", "domains=a.com", "province"},

		{"day", "domain,filed_at,updated_at", "a.com,2020-02-29,2021-03-04", "domains=a.com; filed=2020-02-29; updated=2021-03-04", ""},
		{"moment", "domain,updated_at", "a.com,2023-10-18 10:27:25", "domains=a.com; updated=2023-10-18T10:27:25", ""},
		{"rfc 3339", "domain,updated_at", "a.com,2023-10-18T02:27:25Z", "domains=a.com; updated=2023-10-18T10:27:25", ""},
		{"rfc 3339 with fraction", "domain,updated_at", "a.com,2023-10-18T10:27:25.999+08:00", "domains=a.com; updated=2023-10-18T10:27:25", ""},
		{"spreadsheet", "domain,updated_at", "a.com,2023/1/8 9:05", "domains=a.com; updated=2023-01-08T09:05:00", "date"},
		{"day in Chinese", "domain,updated_at", "a.com,2023年1月8日", "domains=a.com; updated=2023-01-08", "date"},
		{"no day", "domain,updated_at", "a.com,0000-00-00 00:00:00", "domains=a.com", "date"},
		{"wrong day", "domain,filed_at", "a.com,2023-02-30", "refused filed_at: YYYY-MM-DD", ""},

		{"access", "domain,provider", "a.com,Aliyun", "domains=a.com; accesses=[aliyun:active]", ""},
		{"access with status", "domain,provider,access_status,accessed_at", "a.com,aliyun,first-review-passed,2024-01-02", "domains=a.com; accesses=[aliyun:first-review-passed:2024-01-02]", ""},
		{"access in Chinese", "domain,接入商,接入状态", "a.com,aliyun,取消接入", "domains=a.com; accesses=[aliyun:cancelled]", ""},
		{"accesses unknown", "domain,provider,access_status", "a.com,,", "domains=a.com", ""},
		{"no access", "domain,provider", "a.com,-", "domains=a.com; accesses=[]", ""},
		{"no access in words", "domain,provider", "a.com,None", "domains=a.com; accesses=[]", ""},
		{"no access, but a status", "domain,provider,access_status", "a.com,none,active", "refused provider: no provider, but", ""},
		{"status of nobody", "domain,provider,access_status", "a.com,,active", "refused provider: without a provider", ""},
		{"provider, bad", "domain,provider", "a.com,阿里云", "refused provider: letters, digits", ""},
		{"access status, bad", "domain,provider,access_status", "a.com,x,ok", "refused access_status: expect active", ""},

		{"covers", "domain,covers", "a.gov.cn,img WWW.img,a.gov.cn", "refused : has 3 fields", ""},
		{"covers list", "domain,covers", `a.gov.cn,"img, IMG www2、x.a.gov.cn"`, "domains=a.gov.cn; covers=img www2 x.a.gov.cn", ""},
		{"covers outside", "domain,covers", "a.gov.cn,http://x", "refused covers: is no host below", ""},
		{"too few fields", "domain,number", "a.com", "refused : expect 2", ""},
		{"empty fields behind", "domain,number,,", "a.com,,,,,", "domains=a.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := load(t, bulk.Options{Format: bulk.FormatCSV}, tt.header+"\r\n"+tt.row+"\r\n")
			if err != nil {
				t.Fatal(err)
			}
			if column, reason, ok := strings.Cut(strings.TrimPrefix(tt.want, "refused "), ": "); ok && strings.HasPrefix(tt.want, "refused ") {
				if len(got) != 0 || len(report.RefusedRows) != 1 {
					t.Fatalf("got %d filings, %v; want the row refused", len(got), report.RefusedRows)
				}
				p := report.RefusedRows[0]
				if p.Column != column || p.Line != 2 || !strings.Contains(p.Reason+"; "+p.Hint, reason) {
					t.Errorf("got %v; want line 2, column %q, with %q", p, column, reason)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("got %d filings, refused %v; want one", len(got), report.RefusedRows)
			}
			if s := show(got[0]); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			if w := kinds(report.WarningList); w != tt.wantWarnings {
				t.Errorf("got warnings %q; want %q: %v", w, tt.wantWarnings, report.WarningList)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	tests := []struct{ name, text, want, wantErr string }{
		{"tabs", "number\tdomain\n京ICP备12345678号-1\ta.com\n", "domains=a.com; number=京ICP备12345678号-1; entity=京ICP备12345678号", ""},
		{"semicolons", "domain;site_name\na.com;x, y\n", "domains=a.com; site=x, y", ""},
		{"mark", "\ufeffdomain,site_name\na.com,x\n", "domains=a.com; site=x", ""},
		{"blank lines", "\n\r\n domain , Site_Name\n\n,\na.com,x\n\n", "domains=a.com; site=x", ""},
		{"quoted header", "\"domain\",\"site_name\"\n\"a.com\",\"x \"\"y\"\"\"\n", `domains=a.com; site=x "y"`, ""},
		{"old Mac", "domain,site_name\na.com,x\r", "domains=a.com; site=x", ""},
		{"export of the query", "内容类型,域名,域名ID,负责人,限制访问,主体ID,主体许可证号,单位性质,服务ID,服务许可证号,主办单位,更新时间\n" +
			"出版,example.com,1,某人,否,2,京ICP备00000001号,企业,3,京ICP备00000001号-1,某公司,2023-10-18 10:27:25\n",
			"domains=example.com; number=京ICP备00000001号-1; entity=京ICP备00000001号; name=某公司; nature=enterprise; updated=2023-10-18T10:27:25", ""},
		{"another table", "序号,主办单位名称,主办单位性质,网站备案号,网站名称,网站首页地址,审核日期\n" +
			"1,某公司,企业,京ICP备00000001号-1,某站,www.example.com,2023-10-18\n",
			"domains=example.com; number=京ICP备00000001号-1; entity=京ICP备00000001号; name=某公司; nature=enterprise; site=某站; updated=2023-10-18", ""},
		{"empty", "", "", "the file is empty"},
		{"blank", " \n\n", "", "the file is empty"},
		{"no header", "example.com,京ICP备00000001号-1\n", "", "no column names the domain"},
		{"doubled column", "domain,number,备案号\n", "", "two columns of the header name the number"},
		{"spreadsheet", "PK\x03\x04......", "", "save the table as CSV"},
		{"gzip", "\x1f\x8b\x08", "", "decompress it first"},
		{"binary", "domain\x00", "", "NUL"},
		{"broken header", "domain,\"x\n", "", "the header has a quote that is never closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := load(t, bulk.Options{}, tt.text)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || len(got) != 0 {
					t.Errorf("got error %v; want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("got %d filings, error %v; want one", len(got), err)
			}
			if s := show(got[0]); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}
