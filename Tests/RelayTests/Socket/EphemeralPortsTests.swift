// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

// It opens descriptors, which those that count them must not see come and go.
extension SocketSuites {
    /// Which instances a connect may meet itself at.
    @Suite struct EphemeralPortsTests {
        private func mayMeet(_ address: String, _ ports: EphemeralPorts) throws -> Bool {
            ports.mayMeet(SocketAddress(try #require(InstanceAddress(address))))
        }

        /// - Parameter text: nil for no file at all.
        private func ports(_ text: String?) throws -> EphemeralPorts {
            guard let text else { return EphemeralPorts(file: "/nonexistent") }
            var name = Array("/tmp/legation-ports-XXXXXX".utf8CString)
            let file = mkstemp(&name)
            try #require(file >= 0)
            defer {
                close(file)
                unlink(name)
            }
            try #require(write(file, text, text.utf8.count) == text.utf8.count)
            return EphemeralPorts(file: String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
        }

        @Test func readsTheKernelsOwnRange() throws {
            let own = try ports("32768\t60999\n")
            #expect(try !mayMeet("127.0.0.1:32767", own) && mayMeet("127.0.0.1:32768", own))
            #expect(try mayMeet("[::1]:60999", own) && !mayMeet("[::1]:61000", own))
            #expect(try !mayMeet("unix:/run/a.sock", own))
        }

        @Test(arguments: [nil, "", "x y", "1", "2 1", "1 70000"])
        func withoutAnAnswerAnyPortMayBeIt(text: String?) throws {
            let any = try ports(text)
            #expect(try mayMeet("127.0.0.1:1", any) && mayMeet("127.0.0.1:65535", any))
        }

        /// The port that the kernel has just given to a caller lies in the range that it is said to choose from.
        @Test func theKernelKeepsToIt() throws {
            let backend = try TestBackend()
            let caller = try TestSocket(connectedTo: backend.endpoint)
            var own = SocketAddress()
            try #require(own.fill { getsockname(caller.descriptor, $0, $1) } == 0)
            #expect(EphemeralPorts().mayMeet(own))
        }
    }
}
