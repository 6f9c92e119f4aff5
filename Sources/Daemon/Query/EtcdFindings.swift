// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import Registry

/// What `check-etcd` found, and how it is shown.
package struct EtcdFindings: Sendable {
    /// One endpoint's answer.
    package struct Endpoint: Sendable {
        package let endpoint: EtcdEndpoint
        /// What it said of itself, or why it did not.
        package let status: Result<MemberStatus, EtcdError>

        package init(endpoint: EtcdEndpoint, status: Result<MemberStatus, EtcdError>) {
            self.endpoint = endpoint
            self.status = status
        }
    }

    /// One thing that was tried.
    package struct Step: Sendable {
        package let name: String
        package let isOK: Bool
        package let detail: String

        package init(_ name: String, isOK: Bool, _ detail: String) {
            self.name = name
            self.isOK = isOK
            self.detail = detail
        }
    }

    package var endpoints: [Endpoint] = []
    package var members: [Member] = []
    package var steps: [Step] = []
    /// After the steps; nil when there were none.
    package var knowledge: KnowledgeReport?

    package init() {}

    /// Whether everything worked: warnings do not count.
    package var isOK: Bool {
        steps.allSatisfy(\.isOK)
            && endpoints.allSatisfy { endpoint in
                if case .success(let status) = endpoint.status { status.leader != 0 } else { false }
            }
    }

    /// What works and should be changed all the same, each once.
    package var warnings: [String] {
        var warnings: [String] = []
        for endpoint in endpoints.map(\.endpoint) {
            if let caution = EtcdCautions.plaintext(of: endpoint) { warnings.append("\(endpoint): \(caution)") }
        }
        var versions: Set<String> = []
        for endpoint in endpoints {
            guard case .success(let status) = endpoint.status else { continue }
            versions.insert(status.version)
            if status.leader == 0 { warnings.append("\(endpoint.endpoint): knows no leader") }
            warnings += (status.errors + EtcdVersion.warnings(for: status.version)).map {
                "\(endpoint.endpoint): \($0)"
            }
        }
        if versions.count > 1 {
            warnings.append("the members run different versions: \(versions.sorted().joined(separator: ", "))")
        }
        return warnings
    }

    /// A table of checks, then the warnings.
    package var text: String {
        var table = TextTable(["CHECK", "RESULT", "DETAIL"])
        for endpoint in endpoints {
            switch endpoint.status {
            case .success(let status):
                table.add(["endpoint \(endpoint.endpoint)", status.leader == 0 ? "failed" : "ok", Self.detail(status)])
            case .failure(let error):
                table.add(["endpoint \(endpoint.endpoint)", "failed", "\(error)"])
            }
        }
        for step in steps { table.add([step.name, step.isOK ? "ok" : "failed", step.detail]) }
        if let knowledge { table.add(["knowledge", knowledge.staleness == nil ? "ok" : "stale", knowledge.text]) }
        return table.text + warnings.map { "warning: \(LogText.escaped($0))\n" }.joined()
    }

    /// Keys: `ok`, `endpoints` (`endpoint`, `ok`, `version`, `member`, `isLeader`, `databaseBytes`, `error`), `members`
    /// (`id`, `name`, `clientURLs`, `isLearner`), `checks` (`check`, `ok`, `detail`), `knowledge` (`KnowledgeReport.json`),
    /// `warnings`.
    package var json: JSONObject {
        [
            "ok": .bool(isOK),
            "endpoints": .array(endpoints.map(Self.json)),
            "members": .array(
                members.map { member in
                    .object([
                        "id": .string(String(member.id, radix: 16)), "name": .string(member.name),
                        "clientURLs": .array(member.clientURLs.map(JSONValue.string)),
                        "isLearner": .bool(member.isLearner),
                    ])
                }),
            "checks": .array(
                steps.map {
                    .object(["check": .string($0.name), "ok": .bool($0.isOK), "detail": .string($0.detail)])
                }),
            "knowledge": knowledge?.json ?? .null, "warnings": .array(warnings.map(JSONValue.string)),
        ]
    }

    private static func detail(_ status: MemberStatus) -> String {
        let role = status.leader == 0 ? "no leader" : status.leader == status.memberID ? "leader" : "follower"
        return "\(status.version), \(role), revision \(status.revision), \(status.databaseBytes) bytes"
    }

    private static func json(_ endpoint: Endpoint) -> JSONValue {
        var object: JSONObject = ["endpoint": .string("\(endpoint.endpoint)")]
        switch endpoint.status {
        case .success(let status):
            object["ok"] = .bool(status.leader != 0)
            object["version"] = .string(status.version)
            object["member"] = .string(String(status.memberID, radix: 16))
            object["isLeader"] = .bool(status.leader == status.memberID)
            object["databaseBytes"] = .integer(Int(status.databaseBytes))
        case .failure(let error):
            object["ok"] = .bool(false)
            object["error"] = .string("\(error)")
        }
        return .object(object)
    }
}
