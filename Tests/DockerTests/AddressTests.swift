// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Testing

@Suite struct DockerAddressTests {
    @Test(arguments: [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"), ("unix:/run/d.sock", "unix:///run/d.sock"),
        ("tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"), ("tcp://docker", "tcp://docker:2375"),
        ("http://docker:80/", "tcp://docker:80"), ("tcp://[fd00::1]:2375", "tcp://[fd00::1]:2375"),
        ("tcp://[fd00::1]", "tcp://[fd00::1]:2375"),
    ])
    func readsSocketsAndHosts(text: String, shown: String) throws {
        #expect(try #require(DockerAddress(text)).description == shown)
    }

    @Test(arguments: [
        "", "unix://", "unix:///", "unix:relative", "/var/run/docker.sock", "tcp://", "tcp://:2375", "tcp://a:0",
        "tcp://a:65536", "tcp://a:+1", "tcp://a:", "tcp://a b", "tcp://fd00::1:2375", "tcp://[fd00::1",
        "https://a:2376",
        "ssh://a", "tcp://a/path", "npipe:////./pipe/docker_engine",
    ])
    func refusesEverythingElse(text: String) {
        #expect(DockerAddress(text) == nil)
    }

    @Test func namesThePathOfASocket() {
        #expect(DockerAddress("unix:///run/a.sock")?.socketPath == "/run/a.sock")
        #expect(DockerAddress("tcp://a:1")?.socketPath == nil)
    }
}

@Suite struct APIVersionTests {
    @Test func comparesByNumbers() throws {
        #expect(try #require(APIVersion("1.9")) < APIVersion(1, 40))
        #expect(try #require(APIVersion("2.0")) > APIVersion(1, 52))
    }

    @Test(arguments: ["", "1", "1.", ".1", "1.4.1", "1.-1", "v1.41", "1.41 "])
    func refusesWhatIsNoVersion(text: String) {
        #expect(APIVersion(text) == nil)
    }

    @Test(arguments: [("1.40", "1.40"), ("1.41", "1.41"), ("1.45", "1.45"), ("1.52", "1.52"), ("1.60", "1.52")])
    func speaksTheNewestThatBothKnow(own: String, spoken: String) throws {
        #expect(try APIVersion.negotiated(with: #require(APIVersion(own))).description == spoken)
    }

    @Test func refusesAnEngineThatIsTooOld() throws {
        let error = try #require(throws: DockerError.self) { try APIVersion.negotiated(with: APIVersion(1, 39)) }
        #expect(error.code == .tooOld)
        #expect(error.description.contains("1.39") && error.description.contains("1.40"))
    }
}
