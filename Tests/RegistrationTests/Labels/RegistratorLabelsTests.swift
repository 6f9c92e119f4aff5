// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import ServiceModel
import Testing

/// Registrator's labels, and what else it does.
@Suite struct RegistratorLabelsTests {
    private static let two = ["0.0.0.0:8000->80/tcp", "0.0.0.0:8443->443/tcp"]
    private let compatible = LabelRules(compatibility: .registrator)

    @Test(arguments: [
        (["SERVICE_NAME": "web"], ["0.0.0.0:1->80/tcp"], ["80/tcp web"]),
        (["SERVICE_NAME": "web"], two, ["80/tcp web-80", "443/tcp web-443"]),
        (["SERVICE_80_NAME": "web"], two, ["80/tcp web"]),
        (["SERVICE_80_NAME": "web", "SERVICE_NAME": "other"], two, ["80/tcp web", "443/tcp other-443"]),
        (["SERVICE_80_NAME": "", "SERVICE_NAME": "other"], ["0.0.0.0:1->80/tcp"], []),
        (["SERVICE_NAME": "web"], ["0.0.0.0:1->80/tcp", "443/tcp"], ["80/tcp web"]),
        (["SERVICE_NAME": "web"], ["80/tcp"], []),
        (["SERVICE_NAME": ""], ["0.0.0.0:1->80/tcp"], []),
        (["SERVICE_TAGS": "a"], ["0.0.0.0:1->80/tcp"], []),
        (["SERVICE_NAME": "dns"], ["0.0.0.0:53->53/udp"], ["53/udp dns tags=udp"]),
        (
            ["SERVICE_NAME": "dns", "SERVICE_TAGS": "a"], ["0.0.0.0:53->53/udp", "0.0.0.0:53->53/tcp"],
            ["53/tcp dns-53 tags=a", "53/udp dns-53 tags=a|udp"]
        ),
    ])
    func namesPublishedPorts(_ labels: [String: String], _ ports: [String], _ claims: [String]) throws {
        #expect(try Labelled.claims(try Labelled.container(labels, ports: ports)) == claims)
    }

    @Test func aPortsLabelGoesBeforeTheContainers() throws {
        let labels = [
            "SERVICE_NAME": "web", "SERVICE_TAGS": "a,b", "SERVICE_443_TAGS": "c", "SERVICE_443_NAME": "tls",
            "SERVICE_ID": "i", "SERVICE_443_ID": "j", "SERVICE_REGION": "eu", "SERVICE_443_REGION": "us",
            "SERVICE_CHECK_HTTP": "/up", "service_zone": "x", "SERVICE_Mixed": "7",
        ]
        #expect(
            try Labelled.claims(try Labelled.container(labels, ports: Self.two)) == [
                #"80/tcp web-80 tags=a|b meta={"check_http":"/up","mixed":7,"region":"eu"} instance=i"#,
                #"443/tcp tls tags=c meta={"check_http":"/up","mixed":7,"region":"us"} instance=j"#,
            ])
    }

    @Test(arguments: [
        ("a,b", "a|b"), ("a\\,b,c", "a,b|c"), (",a,,b,", "a|b"), ("a\\b", "a\\b"), ("a\\", "a\\"), ("\\,", ","),
    ])
    func commasOfATagAreEscaped(_ text: String, _ tags: String) throws {
        let container = try Labelled.container(["SERVICE_NAME": "web", "SERVICE_TAGS": text])
        #expect(try Labelled.claims(container) == ["6379/tcp web tags=\(tags)"])
    }

    @Test(arguments: [
        (["SERVICE_IGNORE": "true"], [String]()), (["SERVICE_IGNORE": "false"], []),
        (["SERVICE_IGNORE": ""], ["80/tcp web-80", "443/tcp web-443"]),
        (["SERVICE_80_IGNORE": "1"], ["443/tcp web-443"]),
    ])
    func whatIsToBeIgnoredIs(_ labels: [String: String], _ claims: [String]) throws {
        let labels = labels.merging(["SERVICE_NAME": "web"]) { $1 }
        #expect(try Labelled.claims(try Labelled.container(labels, ports: Self.two)) == claims)
    }

    /// Side by side: registrator ignores what is registered by our own labels.
    @Test func ourOwnLabelsGoBeforeAndAreNotIgnored() throws {
        let labels = [
            "legation.80.service": "a", "SERVICE_IGNORE": "1", "SERVICE_NAME": "web", "SERVICE_TAGS": "t",
        ]
        #expect(try Labelled.claims(try Labelled.container(labels, ports: Self.two)) == ["80/tcp a"])
        let both = ["legation.80.service": "a", "SERVICE_NAME": "web"]
        #expect(
            try Labelled.claims(try Labelled.container(both, ports: Self.two)) == ["80/tcp a", "443/tcp web-443"])
    }

    @Test func onTheHostsNetworkThePortsThatAreNamedCount() throws {
        let labels = ["SERVICE_NAME": "web", "SERVICE_8080_NAME": "api", "SERVICE_90_TAGS": "x"]
        let container = try Labelled.container(labels, ports: [], usesHostNetwork: true)
        #expect(try Labelled.claims(container) == ["8080/tcp api"])
    }

    @Test func onTheContainersNetworkNothingNeedsPublishing() throws {
        let container = try Labelled.container(["SERVICE_NAME": "web"], ports: ["80/tcp"])
        #expect(try Labelled.claims(container, LabelRules(network: "back")) == ["80/tcp web network=back"])
    }

    @Test func whatIsWrongIsToldAndCostsItsPort() throws {
        let labels = ["SERVICE_80_NAME": "a b", "SERVICE_443_NAME": "tls", "SERVICE_443_ID": "x/y"]
        let reading = LabelRules().reading(of: try Labelled.container(labels, ports: Self.two))
        #expect(reading.claims.isEmpty)
        #expect(reading.problems.map(\.label) == ["SERVICE_80_NAME", "SERVICE_443_ID"])
    }

    // MARK: --compat registrator

    @Test(arguments: [
        ("redis", "redis"), ("redis:7", "redis"), ("library/redis:7-alpine", "redis"),
        ("registry.lan:5000/team/app:1.2", "app"), ("registry.lan:5000/app", "app"),
        ("redis@sha256:0123", "redis"), ("team/redis:7@sha256:0123", "redis"),
    ])
    func anUnlabelledContainerIsCalledLikeItsImage(_ image: String, _ name: String) throws {
        let one = try Labelled.container([:], image: image)
        #expect(try Labelled.claims(one, compatible) == ["6379/tcp \(name)"])
        #expect(try Labelled.claims(one).isEmpty, "without being told to, nothing")
        let two = try Labelled.container([:], ports: Self.two, image: image)
        #expect(try Labelled.claims(two, compatible) == ["80/tcp \(name)-80", "443/tcp \(name)-443"])
    }

    @Test func anImageWithoutANameIsTold() throws {
        let reading = compatible.reading(of: try Labelled.container([:], image: "sha256:0123"))
        #expect(reading.claims.isEmpty && reading.problems.map(\.label) == ["SERVICE_NAME"])
    }

    @Test func theServicesThatMayBeClaimedAreStillThose() throws {
        var rules = compatible
        rules.allowed = [try #require(ServicePattern("web*"))]
        let reading = rules.reading(of: try Labelled.container([:], image: "redis:7"))
        #expect(reading.claims.isEmpty && reading.problems.map(\.value) == ["redis"])
    }

    /// A label before a variable, and a port's own, wherever it stands, before both.
    @Test func theEnvironmentCountsLikeLabelsAndAfterThem() throws {
        func claims(_ labels: [String: String], _ environment: [String: String]) throws -> [String] {
            let container = try Labelled.container(
                labels, ports: ["0.0.0.0:1->80/tcp"], image: "nginx", environment: environment)
            #expect(try Labelled.claims(container) == (labels["SERVICE_NAME"].map { ["80/tcp \($0)"] } ?? []))
            return try Labelled.claims(container, compatible)
        }
        #expect(try claims([:], ["SERVICE_NAME": "env"]) == ["80/tcp env"])
        #expect(try claims(["SERVICE_NAME": "label"], ["SERVICE_NAME": "env"]) == ["80/tcp label"])
        #expect(try claims(["SERVICE_NAME": "label"], ["SERVICE_80_NAME": "env"]) == ["80/tcp env"])
        #expect(try claims([:], ["SERVICE_80_TAGS": "a", "SERVICE_TAGS": "b"]) == ["80/tcp nginx tags=a"])
        #expect(try claims([:], ["SERVICE_IGNORE": "1"]).isEmpty)
    }

    /// As registrator 7 reads them: the environment first, labels over it.
    @Test func aLabelOfOnePortGoesBeforeItsVariable() throws {
        let container = try Labelled.container(
            ["SERVICE_80_NAME": "label", "SERVICE_80_TAGS": "a"], ports: ["0.0.0.0:1->80/tcp"],
            environment: ["SERVICE_80_NAME": "env", "SERVICE_80_TAGS": "b", "SERVICE_80_ID": "i"])
        #expect(try Labelled.claims(container, compatible) == ["80/tcp label tags=a instance=i"])
    }

    /// Anybody's password may be called like a label.
    @Test func ofTheEnvironmentNothingIsMetadata() throws {
        let variables = [
            "SERVICE_PASSWORD": "p", "SERVICE_80_TOKEN": "t", "SERVICE_NAME": "web", "SERVICE_80_TAGS": "a",
            "SERVICE_80_ID": "i", "SERVICE_CHECK_HTTP": "/up", "SERVICE_443_IGNORE": "1", "service_name": "other",
        ]
        let container = try Labelled.container(["SERVICE_REGION": "eu"], ports: Self.two, environment: variables)
        let claims = try Labelled.claims(container, compatible)
        #expect(claims == [#"80/tcp web-80 tags=a meta={"region":"eu"} instance=i"#])
    }

    @Test(arguments: ["SERVICE_NAME", "SERVICE_6379_NAME", "SERVICE_ID"])
    func aVariableThatCannotBeUsedIsToldWithoutItsValue(_ name: String) throws {
        let container = try Labelled.container(
            ["SERVICE_TAGS": "a"], image: "redis", environment: [name: "a/secret value"])
        let reading = compatible.reading(of: container)
        #expect(reading.claims.isEmpty && reading.problems.map(\.label) == [name])
        #expect(reading.problems.map(\.value) == ["not shown, of the environment"])
        let labelled = compatible.reading(of: try Labelled.container([name: "a/b c"], image: "redis"))
        #expect(labelled.problems.map(\.value) == ["a/b c"])
    }
}
