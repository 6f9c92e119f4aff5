// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

@Suite struct SocketAddressTests {
    @Test(arguments: ["127.0.0.1:80", "255.255.255.255:65535", "[::1]:6379", "[2001:db8::ff00:42:8329]:0"])
    func endpointsSurviveTheKernelsForm(text: String) throws {
        let endpoint = try #require(Endpoint(text))
        #expect(SocketAddress(endpoint).endpoint == endpoint)
    }

    @Test func equalityIsOfFamilyAddressAndPort() throws {
        let texts = ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80", "[::1]:80", "[::1]:81", "[::2]:80", "[1::1]:80"]
        for left in texts {
            for right in texts {
                let (one, other) = (try #require(Endpoint(left)), try #require(Endpoint(right)))
                #expect(SocketAddress(one).isEqual(to: SocketAddress(other)) == (left == right))
            }
        }
    }

    @Test func pathsAreEqualByTheirBytes() throws {
        let paths = try ["/a", "/b", "/ab", "/" + String(repeating: "x", count: 106)].map { try #require(UnixPath($0)) }
        for left in paths {
            #expect(SocketAddress(left).endpoint == nil && SocketAddress(left).family == AF_UNIX)
            for right in paths {
                #expect(SocketAddress(left).isEqual(to: SocketAddress(right)) == (left == right))
            }
        }
    }

    @Test func nothingIsNoEndpoint() {
        #expect(SocketAddress().endpoint == nil)
    }

    @Test func errorsAreNamedInWords() {
        let error = SyscallError(call: "bind", subject: "127.0.0.1:80", number: 13)
        #expect("\(error)" == "bind 127.0.0.1:80: Permission denied (EACCES)")
        #expect("\(SyscallError(call: "socket", number: 4_000))" == "socket: error 4000")
    }
}
