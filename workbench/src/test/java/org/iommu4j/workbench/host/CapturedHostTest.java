// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.workbench.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CapturedHostTest {
    @TempDir
    private Path folder;

    private Path captureWithConfigOf(int bytes) throws IOException {
        Path device = Files.createDirectories(folder.resolve("sys/bus/pci/devices/0000:00:02.0"));
        Files.write(device.resolve("config"), new byte[bytes]);
        return folder;
    }

    @Test
    void aFunctionIsReadWithItsWholeConfigurationSpace() throws IOException {
        assertThat(CapturedHost.read(captureWithConfigOf(256)).functions())
                .singleElement()
                .satisfies(function -> assertThat(function.address()).hasToString("0000:00:02.0"));
    }

    /** Else a PCI Express device would pass for one that can't send no-snoop, and its bridges for ones without ACS. */
    @Test
    void aConfigurationSpaceThatHidesItsCapabilitiesIsRefused() throws IOException {
        Path capture = captureWithConfigOf(64);
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CapturedHost.read(capture))
                .withMessageContaining("0000:00:02.0/config has 64 bytes")
                .withMessageContaining("root");
    }
}
