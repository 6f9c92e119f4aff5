// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Why an entry is not used. The raw value is stable and machine-readable; the sentence is for people.
package enum SkipReason: String, Error, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case valueTooLong = "value-too-long"
    case json
    case depth
    case duplicateField = "duplicate-field"
    case version
    case field
    case host
    case name
    case unresolved
    case port
    case proto
    case weight
    case state
    case node
    case forbidden
    case loopback
    case notAllowed = "not-allowed"
    case ownListener = "own-listener"
    case key
    case tooMany = "too-many"

    /// A sentence without a full stop, for logs and tables.
    package var description: String {
        switch self {
        case .valueTooLong: "the value is longer than 4 KiB"
        case .json: "the value is not one JSON object in UTF-8"
        case .depth: "the JSON is nested more than 8 deep"
        case .duplicateField: "a field stands twice"
        case .version: "v is not a version that this program reads (1)"
        case .field: "a field has the wrong type"
        case .host: "host is missing or not an IPv4 or IPv6 literal in its plain form"
        case .name: "host is a name; see --resolve-names"
        case .unresolved: "host is a name that has had no address yet"
        case .port: "port is missing or not an integer of 1...65535"
        case .proto: "proto is not tcp"
        case .weight: "weight is not an integer of 0...1000"
        case .state: "state is neither up nor draining"
        case .node: "node is not the node of its key"
        case .forbidden: "the address is of a kind that is never dialled"
        case .loopback: "a loopback address needs --allow-target"
        case .notAllowed: "the address is outside what may be dialled; see --allow-target"
        case .ownListener: "the address is one of this process's own listeners"
        case .key: "the key is longer than 512 bytes or has no service and instance"
        case .tooMany: "more instances than the limit (10,000 a service, 50,000 in all)"
        }
    }
}
