// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.amd.AmdVendor;
import org.iommu4j.intel.IntelVendor;
import org.iommu4j.riscv.RiscvVendor;
import org.iommu4j.riscv.sim.RiscvSilicon;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A vendor's jar on the path is all it takes. The module path is tried by the consumer project in {@code src/it}; here
 * are the class path, the agreement of both ways to say it, and the packaged command.
 */
class VendorDiscoveryTest {
    @Test
    void vendorsAreFoundOnTheClassPath() {
        assertThat(IommuVendors.load().all()).extracting(IommuVendor::name).contains("amd", "intel", "riscv");
        assertThat(IommuVendors.load().named("intel")).isInstanceOf(IntelVendor.class);
        assertThat(IommuVendors.load().named("amd")).isInstanceOf(AmdVendor.class);
        assertThat(IommuVendors.load().named("riscv")).isInstanceOf(RiscvVendor.class);
    }

    @Test
    void siliconIsFoundOnTheClassPath() {
        assertThat(MachineFactory.load().providers())
                .extracting(TranslationUnitProvider::name)
                .contains("amdvi", "vtd", "riscv");
    }

    static List<Class<?>> providers() {
        return List.of(IntelVendor.class, AmdVendor.class, RiscvVendor.class, MachineFactory.class, RiscvSilicon.class);
    }

    @ParameterizedTest
    @MethodSource("providers")
    void theModuleDescriptorAndTheServiceFilesSayTheSame(Class<?> inModule) throws IOException, URISyntaxException {
        Path location = Path.of(
                inModule.getProtectionDomain().getCodeSource().getLocation().toURI());
        if (Files.isDirectory(location)) {
            assertAgreement(location);
        } else {
            try (FileSystem jar = FileSystems.newFileSystem(location)) {
                assertAgreement(jar.getPath("/"));
            }
        }
    }

    private static void assertAgreement(Path root) throws IOException {
        ModuleDescriptor module;
        try (InputStream bytes = Files.newInputStream(root.resolve("module-info.class"))) {
            module = ModuleDescriptor.read(bytes);
        }
        Set<String> byModule = new TreeSet<>();
        for (ModuleDescriptor.Provides provides : module.provides()) {
            provides.providers().forEach(provider -> byModule.add(provides.service() + " = " + provider));
        }
        Set<String> byFiles = new TreeSet<>();
        try (Stream<Path> files = Files.list(root.resolve("META-INF/services"))) {
            for (Path file : files.collect(Collectors.toList())) {
                Files.readAllLines(file).stream()
                        .map(line -> line.replaceAll("#.*", "").strip())
                        .filter(line -> !line.isEmpty())
                        .forEach(line -> byFiles.add(file.getFileName() + " = " + line));
            }
        }
        assertThat(byModule)
                .as("provided by module %s", module.name())
                .isNotEmpty()
                .isEqualTo(byFiles);
    }

    @Test
    void thePackagedCommandRunsOnTheMachinesOfBothVendors() throws IOException, InterruptedException {
        Path jar = Checkout.root().resolve("workbench/target/iommu4j.jar");
        Assumptions.assumeTrue(Files.exists(jar), jar + " is not built: it is made by the package phase");
        for (String machine : List.of("intel-sc", "amd")) {
            Process process = new ProcessBuilder(
                            System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
                            "-jar",
                            jar.toString(),
                            "run",
                            "guest-no-snoop",
                            "--machine",
                            machine)
                    .redirectErrorStream(true)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor()).as(output).isZero();
            assertThat(output).contains("COHERENT");
        }
    }
}
