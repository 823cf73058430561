# What PGXN's specification (Meta 1.0.0) objects to in a META.json:
# jq -r -f test/meta.jq META.json prints a line for each, or nothing.

def known($of; $known): keys[] | select(startswith("x_") or startswith("X_") | not) | select(IN($known[]) | not) | "\($of) has no \(.)";
def text: type == "string" and length > 0;
def term: text and length > 1 and (test("[\\s/\\\\[:cntrl:]]") | not);
def semver: text and test("^\\d+\\.\\d+\\.\\d+(-[A-Za-z][0-9A-Za-z-]*)?$");
def range: . == 0 or . == "0" or (text and ([splits(" *, *") | sub("^(==|!=|<=?|>=?) *"; "")] | all(semver)));
def uri: text and test("^https?://[^\\s]+$");
def address: text and test("^[^\\s@<>]+@[^\\s@<>]+$");
def texts($each): if type == "array" then length > 0 and all($each) else $each end;
def check($what; ok): if ok then empty else "\($what): \(tojson)" end;

known("the file"; ["name", "version", "abstract", "description", "maintainer", "license", "provides", "meta-spec",
	"generated_by", "no_index", "prereqs", "release_status", "resources", "tags"]),
(.name | check("name"; term)),
(.version | check("version"; semver)),
(.abstract | check("abstract"; text)),
(.description | check("description"; . == null or text)),
(.maintainer | check("maintainer"; type == "string" or (type == "array" and length > 0))),
(.maintainer | if type == "array" then .[] else . end | check("maintainer's address"; text and test("<[^\\s@<>]+@[^\\s@<>]+>$"))),
(.license | check("license"; IN("agpl_3", "apache_1_1", "apache_2_0", "artistic_1", "artistic_2", "bsd", "freebsd", "gfdl_1_2", "gfdl_1_3",
	"gpl_1", "gpl_2", "gpl_3", "lgpl_2_1", "lgpl_3_0", "mit", "mozilla_1_0", "mozilla_1_1", "openssl", "perl_5", "postgresql",
	"qpl_1_0", "ssleay", "sun", "zlib", "open_source", "restricted", "unrestricted", "unknown"))),
(.release_status | check("release_status"; IN(null, "stable", "testing", "unstable"))),
(.["meta-spec"] | check("meta-spec"; type == "object" and (.version | semver) and (.url | IN(null, "https://pgxn.org/meta/spec.txt")))),
(.tags | check("tags"; . == null or (type == "array" and length > 0 and all(text and length < 257 and (test("[/\\\\[:cntrl:]]") | not))))),
(.provides | check("provides"; type == "object" and length > 0)),
(.provides | to_entries[] | (.key | check("an extension's name"; term)),
	(.value | known("an extension"; ["file", "version", "abstract", "docfile"]),
		(.file | check("file"; text)), (.version | check("its version"; semver)),
		(.abstract | check("its abstract"; . == null or text)), (.docfile | check("docfile"; . == null or text)))),
(.prereqs // {} | known("prereqs"; ["configure", "build", "test", "runtime", "develop"]),
	(.[] | known("a phase"; ["requires", "recommends", "suggests", "conflicts"]),
		(.[] | to_entries[] | (.key | check("what is required"; term)), (.value | check("its version"; range))))),
(.resources | check("resources"; type == "object")),
(.resources | known("resources"; ["homepage", "bugtracker", "repository"]),
	(.homepage | check("homepage"; uri)),
	(.bugtracker | known("bugtracker"; ["web", "mailto"]), (.web | check("web"; uri)), (.mailto | check("mailto"; address))),
	(.repository | known("repository"; ["url", "web", "type"]), (.url | check("url"; uri)), (.web | check("web"; uri)),
		(.type | check("type"; text and . == ascii_downcase))))
