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

/** The public methods and constructors of the public types in the packages that the library's modules export. */
final class PublicApi {
    /** As the modules' descriptors have them. */
    static final Set<String> PACKAGES = Set.of(
            "org.iommu4j",
            "org.iommu4j.bits",
            "org.iommu4j.capability",
            "org.iommu4j.pci",
            "org.iommu4j.platform",
            "org.iommu4j.platform.support",
            "org.iommu4j.release",
            "org.iommu4j.spi",
            "org.iommu4j.core",
            "org.iommu4j.dma",
            "org.iommu4j.intel",
            "org.iommu4j.amd",
            "org.iommu4j.vfio",
            "org.iommu4j.vfio.type1",
            "org.iommu4j.kvm",
            "org.iommu4j.host",
            "org.iommu4j.audit",
            "org.iommu4j.sim.amdvi",
            "org.iommu4j.sim.cache",
            "org.iommu4j.sim.cpu",
            "org.iommu4j.sim.machine",
            "org.iommu4j.sim.memory",
            "org.iommu4j.sim.pcie",
            "org.iommu4j.sim.spi",
            "org.iommu4j.sim.trace",
            "org.iommu4j.sim.verdict",
            "org.iommu4j.sim.vtd");

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
