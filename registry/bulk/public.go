package bulk

import (
	"fmt"
	"strings"
)

// publicKeys are the keys of the public query's records that hold a fact of a
// filing (rule book 5.4). There is none for accesses: they stay unknown.
var publicKeys = map[string]column{
	"domain": colDomain, "serviceLicence": colNumber, "mainLicence": colEntityNumber, "unitName": colEntityName,
	"natureName": colNature, "serviceName": colSiteName, "serviceType": colKind, "limitAccess": colRestricted,
	"updateRecordTime": colUpdatedAt, "homeUrl": colHomePage,
}

// publicWithoutUse are the other keys; those that are neither get a warning.
var publicWithoutUse = map[string]bool{
	"contentTypeName": true, "domainId": true, "leaderName": true, "mainId": true, "serviceId": true, "cityId": true,
	"countyId": true, "provinceId": true, "dataId": true, "mainUnitAddress": true, "mainUnitCertNo": true,
	"mainUnitCertType": true, "natureId": true, "version": true,
	"blacklistLevel": true, "blackListLevel": true,
}

// public reads a record of the public query into c. unknown is called with keys
// that records are not known to have.
func (c *cells) public(object jsonValue, unknown func(key string)) *RowError {
	c.reset()
	blacklist := false
	err := eachMember(object, func(key string, v jsonValue) *RowError {
		if col, ok := publicKeys[key]; ok {
			return c.scalar(col, v)
		}
		if strings.EqualFold(key, "blacklistLevel") {
			blacklist = true
		}
		if !publicWithoutUse[key] {
			unknown(key)
		}
		return nil
	})
	if err == nil && blacklist && c.value[colNumber] == "" && c.value[colEntityNumber] == "" {
		return wholeRow("is an answer of the blacklist query, which is no filing", "put blacklisted domains into the blacklist file")
	}
	return err
}

// envelopeKeys lead from the whole of an answer to its list.
func isEnvelopeKey(key string) bool { return key == "params" || key == "list" || key == "data" }

// maxEnvelope is how deep the list of an answer may stand; it is params.list.
const maxEnvelope = 3

// listIn finds the records in an answer that stands on one line.
func listIn(object jsonValue, depth int) (list jsonValue, ok bool) {
	_ = eachMember(object, func(key string, v jsonValue) *RowError {
		switch {
		case !isEnvelopeKey(key):
		case v.kind() == '[':
			list, ok = v, true
		case v.kind() == '{' && depth < maxEnvelope:
			if l, found := listIn(v, depth+1); found {
				list, ok = l, true
			}
		case v.kind() == 'n':
			ok = true
		}
		return nil
	})
	return list, ok
}

// failedAnswer reports the error that an answer speaks of.
func failedAnswer(success, code, msg string) error {
	if success == "false" || code != "" && code != "200" && code != "0" {
		return fmt.Errorf("the query that the file answers failed with code %q, %q; ask again", cutText(code, maxValue), cutText(msg, maxValue))
	}
	return nil
}
