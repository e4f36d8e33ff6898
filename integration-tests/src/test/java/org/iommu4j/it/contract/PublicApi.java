// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.Iommu;
import org.iommu4j.amd.AmdVendor;
import org.iommu4j.audit.Auditor;
import org.iommu4j.core.IommuCore;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.intel.IntelVendor;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.riscv.RiscvVendor;
import org.iommu4j.riscv.sim.RiscvSilicon;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.vfio.Vfio;

/** The public methods and constructors of the public types in the packages that the library's modules export. */
final class PublicApi {
    /** One class of each of the library's modules. */
    private static final List<Class<?>> MODULES = List.of(
            Iommu.class,
            IommuCore.class,
            IntelVendor.class,
            AmdVendor.class,
            RiscvVendor.class,
            RiscvSilicon.class,
            Vfio.class,
            VirtualMachine.class,
            Machine.class,
            Auditor.class,
            Exploration.class);

    /** The packages that these modules export, but for the one that needs Guice. */
    static final Set<String> PACKAGES = MODULES.stream()
            .flatMap(anchor -> ApiSignatures.exportsOf(anchor).stream())
            .filter(name -> !name.equals("org.iommu4j.sim.guice"))
            .collect(Collectors.toUnmodifiableSet());

    private PublicApi() {}

    /** Returns all of them that take a reference, in the order of their names. */
    static List<Executable> taking() {
        List<Executable> all = new ArrayList<>();
        for (JavaClass each : new ClassFileImporter()
                .withImportOption(new ImportOption.DoNotIncludeTests())
                .withImportOption(location -> !location.contains("-tests.jar"))
                .importPackages(PACKAGES)) {
            if (PACKAGES.contains(each.getPackageName())
                    && each.getModifiers().contains(JavaModifier.PUBLIC)
                    && !each.isAnonymousClass()) {
                add(each.reflect(), all);
            }
        }
        all.sort(Comparator.comparing(Executable::toGenericString));
        return all;
    }

    private static void add(Class<?> type, List<Executable> all) {
        for (Class<?> outer = type; outer != null; outer = outer.getEnclosingClass()) {
            if (!Modifier.isPublic(outer.getModifiers())) {
                return;
            }
        }
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (!Modifier.isAbstract(type.getModifiers())) {
                addIfTaking(constructor, all);
            }
        }
        for (Method method : type.getDeclaredMethods()) {
            if (!method.isBridge() && !isEquals(method)) {
                addIfTaking(method, all);
            }
        }
    }

    private static void addIfTaking(Executable executable, List<Executable> all) {
        if (Modifier.isPublic(executable.getModifiers())
                && !executable.isSynthetic()
                && Arrays.stream(executable.getParameterTypes()).anyMatch(type -> !type.isPrimitive())) {
            all.add(executable);
        }
    }

    /** The one that answers false to null. */
    private static boolean isEquals(Method method) {
        return method.getName().equals("equals")
                && Arrays.equals(method.getParameterTypes(), new Class<?>[] {Object.class});
    }
}
