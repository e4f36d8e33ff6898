// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.AmdVendor;
import org.iommu4j.audit.Auditor;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.core.IommuCore;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.explorer.ExplorationEngine;
import org.iommu4j.intel.IntelVendor;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.riscv.RiscvVendor;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.tck.Subject;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.workbench.Main;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The walls of the house. Maven's module graph keeps most of them; these rules keep all, and each looks at something.
 */
class ArchitectureTest {
    /** One class of each module, by which its classes are found. */
    private static final List<Class<?>> MODULES = List.of(
            IommuVendors.class,
            IommuCore.class,
            IntelVendor.class,
            AmdVendor.class,
            RiscvVendor.class,
            Vfio.class,
            VirtualMachine.class,
            Auditor.class,
            Exploration.class,
            MachineFactory.class,
            Main.class);

    static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importUrls(MODULES.stream()
                    .map(type -> type.getProtectionDomain().getCodeSource().getLocation())
                    .toList());

    private static final String[] LIBRARIES = {
        "com.google.inject..",
        "com.google.common..",
        "tools.jackson..",
        "com.fasterxml..",
        "picocli..",
        "jakarta.inject.."
    };

    /** A room, and a floor on what is in it: a rule about nothing would always hold. */
    @ParameterizedTest
    @CsvSource({
        "org.iommu4j, 12",
        "org.iommu4j.spi, 6",
        "org.iommu4j.pci, 7",
        "org.iommu4j.platform, 12",
        "org.iommu4j.platform.support, 3",
        "org.iommu4j.bits, 4",
        "org.iommu4j.release, 8",
        "org.iommu4j.core, 8",
        "org.iommu4j.dma, 6",
        "org.iommu4j.intel, 10",
        "org.iommu4j.intel.fmt, 4",
        "org.iommu4j.intel.nesting, 2",
        "org.iommu4j.amd, 10",
        "org.iommu4j.amd.fmt, 3",
        "org.iommu4j.riscv, 10",
        "org.iommu4j.riscv.fmt, 3",
        "org.iommu4j.vfio, 8",
        "org.iommu4j.vfio.iommufd, 20",
        "org.iommu4j.vfio.support, 1",
        "org.iommu4j.vfio.type1, 8",
        "org.iommu4j.kvm, 6",
        "org.iommu4j.host, 20",
        "org.iommu4j.audit, 15",
        "org.iommu4j.explorer, 15",
        "org.iommu4j.sim.cache, 4",
        "org.iommu4j.sim.pcie, 8",
        "org.iommu4j.sim.spi, 8",
        "org.iommu4j.sim.vtd, 10",
        "org.iommu4j.sim.amdvi, 10",
        "org.iommu4j.sim.machine, 8",
        "org.iommu4j.workbench, 8",
        "org.iommu4j.workbench.scenario, 12",
        "org.iommu4j.workbench.vmm, 1"
    })
    void theRulesSeeTheClassesOf(String packageName, int atLeast) {
        assertThat(CLASSES.stream().filter(type -> type.getPackageName().equals(packageName)))
                .hasSizeGreaterThanOrEqualTo(atLeast);
    }

    @Test
    void aVendorSeesNeitherAnotherVendorNorCoreNorSiliconNorAConsumer() {
        String[] rest = {
            "..core..", "..dma..", "..vfio..", "..kvm..", "..sim..", "..host..", "..audit..", "..workbench.."
        };
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.intel..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(rest, "amd", "riscv"))
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.amd..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(rest, "intel", "riscv"))
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAnyPackage(
                        "org.iommu4j.riscv",
                        "org.iommu4j.riscv.acpi..",
                        "org.iommu4j.riscv.fmt..",
                        "org.iommu4j.riscv.reg..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(rest, "intel", "amd"))
                .check(CLASSES);
    }

    @Test
    void siliconSeesNoDriverNoCoreAndNoConsumer() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.sim..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {
                            "..core..", "..dma..", "..vfio..", "..kvm..", "..host..", "..audit..", "..workbench.."
                        },
                        "intel",
                        "amd",
                        "riscv"))
                .check(CLASSES);
    }

    @Test
    void whatAReleaseChangedIsInTheDeclaredRulesAndNowhereElse() {
        noClasses()
                .should()
                .callMethod(LinuxRelease.class, "isAtLeast", int.class, int.class)
                .check(CLASSES);
    }

    @Test
    void oneKindOfSiliconSeesNoOther() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.sim.vtd..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.iommu4j.sim.amdvi..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.sim.amdvi..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.iommu4j.sim.vtd..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAnyPackage("org.iommu4j.sim.machine..", "org.iommu4j.sim.pcie..", "org.iommu4j.sim.cache..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.iommu4j.sim.vtd..", "org.iommu4j.sim.amdvi..")
                .check(CLASSES);
    }

    @Test
    void coreAndTheContractSeeNoVendorNoSiliconAndNoConsumer() {
        noClasses()
                .that()
                .resideInAnyPackage("org.iommu4j.core..", "org.iommu4j.dma..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {"..vfio..", "..kvm..", "..sim..", "..host..", "..audit..", "..workbench.."},
                        "intel",
                        "amd",
                        "riscv"))
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAnyPackage(
                        "org.iommu4j",
                        "org.iommu4j.spi..",
                        "org.iommu4j.pci..",
                        "org.iommu4j.platform..",
                        "org.iommu4j.release..",
                        "org.iommu4j.bits..",
                        "org.iommu4j.capability..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {
                            "..core..",
                            "..dma..",
                            "..vfio..",
                            "..kvm..",
                            "..sim..",
                            "..host..",
                            "..audit..",
                            "..workbench.."
                        },
                        "intel",
                        "amd",
                        "riscv"))
                .check(CLASSES);
    }

    @Test
    void vfioSeesNoVendorAndNoSilicon() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.vfio..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {"..kvm..", "..sim..", "..host..", "..audit..", "..workbench.."},
                        "intel",
                        "amd",
                        "riscv"))
                .check(CLASSES);
    }

    @Test
    void kvmSeesOfVfioOnlyTheFile() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.kvm..")
                .should()
                .dependOnClassesThat(DescribedPredicate.describe(
                        "are VFIO's, but for VfioFile",
                        type -> type.getPackageName().startsWith("org.iommu4j.vfio")
                                && !type.getName().equals(VfioFile.class.getName())))
                .orShould()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {"..core..", "..dma..", "..sim..", "..host..", "..audit..", "..workbench.."},
                        "intel",
                        "amd",
                        "riscv"))
                .check(CLASSES);
        assertThat(CLASSES.stream()
                        .filter(type -> type.getPackageName().equals("org.iommu4j.kvm"))
                        .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                        .anyMatch(dependency ->
                                dependency.getTargetClass().getName().equals(VfioFile.class.getName())))
                .as("KVM asks the file")
                .isTrue();
    }

    /** What renders, and what makes a machine out of a capture, is the command's. */
    @Test
    void theAuditSeesNoVendorNoSiliconAndNoCommand() {
        noClasses()
                .that()
                .resideInAnyPackage("org.iommu4j.host..", "org.iommu4j.audit..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        inHouse(new String[] {"..dma..", "..sim..", "..workbench.."}, "intel", "amd", "riscv"))
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.host..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.iommu4j.audit..")
                .check(CLASSES);
    }

    @Test
    void theExplorerSeesNothingOfIommusAndNoLibrary() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.explorer..")
                .should()
                .dependOnClassesThat()
                .resideOutsideOfPackages("org.iommu4j.explorer..", "java..", "org.jspecify..")
                .check(CLASSES);
    }

    /** It would otherwise hold a vendor to what another one is like. */
    @Test
    void theKitSeesNoVendorAndNoConsumer() {
        JavaClasses kit = new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importUrl(Subject.class.getProtectionDomain().getCodeSource().getLocation());
        assertThat(kit).hasSizeGreaterThan(40);
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(inHouse(
                        new String[] {
                            "..vfio..",
                            "..kvm..",
                            "..host..",
                            "..audit..",
                            "..workbench..",
                            "..sim.vtd..",
                            "..sim.amdvi.."
                        },
                        "intel",
                        "amd",
                        "riscv"))
                .check(kit);
    }

    @Test
    void nothingOutsideAVendorsModuleKnowsItsClasses() {
        noClasses()
                .that()
                .resideOutsideOfPackages(
                        "org.iommu4j.intel..", "org.iommu4j.amd..", "org.iommu4j.riscv..", "org.iommu4j.workbench.vmm")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.iommu4j.intel..", "org.iommu4j.amd..", "org.iommu4j.riscv..")
                .check(CLASSES);
    }

    /** A VMM knows the IOMMU that it shows its guest. The words for its driver in the host are all that this needs. */
    @Test
    void theVmmOfAPageKnowsOnlyRecordsOfWhatGuestsSay() {
        noClasses()
                .that()
                .resideInAPackage("org.iommu4j.workbench.vmm")
                .should()
                .dependOnClassesThat(DescribedPredicate.describe(
                        "are a vendor's, but for its package nesting",
                        type -> List.of("intel", "amd", "riscv").stream()
                                        .anyMatch(
                                                vendor -> type.getPackageName().startsWith("org.iommu4j." + vendor))
                                && !type.getPackageName().endsWith(".nesting")))
                .check(CLASSES);
    }

    @Test
    void aVendorHasOnePublicClassToStartFrom() {
        for (String vendor : List.of("org.iommu4j.intel", "org.iommu4j.amd", "org.iommu4j.riscv")) {
            assertThat(CLASSES.stream()
                            .filter(type -> type.getPackageName().equals(vendor)
                                    && type.getModifiers().contains(JavaModifier.PUBLIC)))
                    .as(vendor)
                    .hasSize(1);
        }
    }

    /** So that a consumer can pass a guest's words on, and knows no more of the vendor. */
    @Test
    void whatAGuestSaysIsARecordThatItsVendorExports() {
        Set<String> records = CLASSES.stream()
                .filter(type ->
                        type.isAssignableTo(GuestTable.class) || type.isAssignableTo(GuestInvalidationRequest.class))
                .filter(type -> !type.isInterface())
                .map(JavaClass::getName)
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(records)
                .containsExactly(FirstStageInvalidation.class.getName(), FirstStageTable.class.getName())
                .allSatisfy(name -> {
                    assertThat(CLASSES.get(name).isRecord()).as(name).isTrue();
                    assertThat(CLASSES.get(name).getPackageName()).endsWith(".nesting");
                });
    }

    @Test
    void noLibraryShowsInAnyApi() {
        List<String> shown = new ArrayList<>();
        int looked = 0;
        for (JavaClass type : CLASSES) {
            String name = type.getPackageName();
            if (name.startsWith("org.iommu4j.workbench") || name.startsWith("org.iommu4j.sim.guice") || !isApi(type)) {
                continue;
            }
            looked++;
            for (JavaCodeUnit member : type.getCodeUnits()) {
                if (isApi(member.getModifiers())) {
                    Stream.concat(
                                    Stream.of(member.getRawReturnType()),
                                    Stream.concat(
                                            member.getRawParameterTypes().stream(),
                                            member.getAnnotations().stream()
                                                    .map(annotation -> annotation.getRawType())))
                            .filter(ArchitectureTest::isLibrary)
                            .forEach(library -> shown.add(member.getFullName() + " shows " + library.getName()));
                }
            }
            for (JavaField field : type.getFields()) {
                if (isApi(field.getModifiers()) && isLibrary(field.getRawType())) {
                    shown.add(field.getFullName());
                }
            }
            Stream.concat(type.getAllRawInterfaces().stream(), type.getAllRawSuperclasses().stream())
                    .filter(ArchitectureTest::isLibrary)
                    .forEach(library -> shown.add(type.getName() + " is a " + library.getName()));
        }
        assertThat(looked).as("public classes").isGreaterThan(100);
        assertThat(shown).isEmpty();
    }

    @Test
    void librariesAreUsedOnlyAtTheEdge() {
        noClasses()
                .that()
                .resideOutsideOfPackages("org.iommu4j.workbench..", "org.iommu4j.sim.guice..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(LIBRARIES)
                .check(CLASSES);
    }

    /** The contract is one thing in two packages (ADR 0020); they are one slice here, and the only pair that is. */
    @Test
    void packagesHaveNoCycles() {
        SliceAssignment packages = new SliceAssignment() {
            @Override
            public SliceIdentifier getIdentifierOf(JavaClass type) {
                String name = type.getPackageName();
                return name.startsWith("org.iommu4j")
                        ? SliceIdentifier.of(name.equals("org.iommu4j.capability") ? "org.iommu4j" : name)
                        : SliceIdentifier.ignore();
            }

            @Override
            public String getDescription() {
                return "packages, the root and its capabilities as one";
            }
        };
        slices().assignedFrom(packages).should().beFreeOfCycles().check(CLASSES);
        assertThat(CLASSES.stream().map(JavaClass::getPackageName)).contains("org.iommu4j", "org.iommu4j.capability");
    }

    @Test
    void onlyTheCommandPrints() {
        noClasses()
                .that()
                .resideOutsideOfPackage("org.iommu4j.workbench..")
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .check(CLASSES);
    }

    @Test
    void onlyIommuVendorsLoadsVendors() {
        Set<String> callers = CLASSES.stream()
                .filter(type -> type.getMethodCallsFromSelf().stream()
                        .anyMatch(call -> call.getTargetOwner().getName().equals(ServiceLoader.class.getName())))
                .map(JavaClass::getName)
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(callers)
                .containsExactly(
                        ExplorationEngine.class.getName(),
                        MachineFactory.class.getName(),
                        IommuVendors.class.getName());
        assertThat(CLASSES.get(MachineFactory.class).getDirectDependenciesFromSelf())
                .noneMatch(dependency ->
                        dependency.getTargetClass().getPackageName().equals("org.iommu4j.spi")
                                && dependency.getTargetClass().getSimpleName().startsWith("IommuVendor"));
    }

    @Test
    void everyPackageSaysWhatItIs() throws IOException, URISyntaxException {
        Set<String> missing = new TreeSet<>();
        int packages = 0;
        for (Class<?> module : MODULES) {
            Path location = Path.of(
                    module.getProtectionDomain().getCodeSource().getLocation().toURI());
            if (Files.isDirectory(location)) {
                packages += collect(location, missing);
            } else {
                try (FileSystem jar = FileSystems.newFileSystem(location)) {
                    packages += collect(jar.getPath("/"), missing);
                }
            }
        }
        assertThat(packages).isGreaterThanOrEqualTo(25);
        assertThat(missing).as("packages without package-info").isEmpty();
    }

    /** A package-info without annotations makes no class file, so the sources are looked at, beside the classes. */
    private static int collect(Path classes, Set<String> missing) throws IOException {
        Set<Path> packages;
        try (Stream<Path> files = Files.walk(classes)) {
            packages = files.filter(file -> file.toString().endsWith(".class")
                            && !file.getFileName().toString().equals("module-info.class"))
                    .map(Path::getParent)
                    .collect(Collectors.toSet());
        }
        Path sources = sourcesOf(classes);
        for (Path one : packages) {
            String relative = classes.relativize(one).toString();
            if (!Files.exists(sources.resolve(relative).resolve("package-info.java"))) {
                missing.add(relative);
            }
        }
        return packages.size();
    }

    private static Path sourcesOf(Path classes) {
        String location = classes.getFileSystem() == FileSystems.getDefault()
                ? classes.toString()
                : classes.getFileSystem().toString();
        Path top = Checkout.root();
        for (String module : List.of(
                "iommu-api",
                "iommu-core",
                "iommu-intel",
                "iommu-amd",
                "iommu-riscv",
                "vfio-core",
                "kvm-x86",
                "host-audit",
                "explorer",
                "hardware-sim",
                "workbench")) {
            if (location.contains("/" + module)) {
                return top.resolve(module).resolve("src/main/java");
            }
        }
        throw new IllegalStateException("no module has its classes at " + location);
    }

    private static String[] inHouse(String[] rooms, String... vendors) {
        List<String> all = new ArrayList<>();
        for (String room : rooms) {
            all.add("org.iommu4j" + room.substring(1));
        }
        for (String vendor : vendors) {
            all.add("org.iommu4j." + vendor + "..");
        }
        return all.toArray(new String[0]);
    }

    private static boolean isApi(JavaClass type) {
        return isApi(type.getModifiers())
                && type.getEnclosingClass().map(ArchitectureTest::isApi).orElse(true);
    }

    private static boolean isApi(Set<JavaModifier> modifiers) {
        return modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED);
    }

    private static boolean isLibrary(JavaClass type) {
        return !type.getBaseComponentType().isPrimitive()
                && Stream.of(LIBRARIES)
                        .anyMatch(library -> type.getBaseComponentType()
                                .getPackageName()
                                .startsWith(library.substring(0, library.length() - 2)));
    }
}
